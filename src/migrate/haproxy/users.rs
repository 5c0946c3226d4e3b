//! `userlist`: who may get in by name and password.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::account::Account;
use super::matches::escape;
use super::read::{Line, Section};

/// The users of every list by its name.
#[derive(Debug, Clone, Default)]
pub(super) struct Users {
    lists: BTreeMap<String, Vec<User>>,
}

#[derive(Debug, Clone)]
struct User {
    line: Line,
    name: String,
    /// `None`: a digest, which nothing here can compare.
    password: Option<String>,
    groups: Vec<String>,
}

impl Users {
    pub(super) fn read(sections: &[Section]) -> Self {
        let mut lists = BTreeMap::new();
        for section in sections.iter().filter(|s| s.kind == "userlist") {
            let mut users: Vec<User> = Vec::new();
            for line in section.lines.iter().filter(|l| l.word(0) == "user") {
                let after = |word: &str| {
                    let at = line.words.iter().skip(2).position(|w| w == word)?;
                    line.words.get(at + 3).cloned()
                };
                let groups =
                    after("groups").map_or_else(Vec::new, |g| g.split(',').map(str::to_owned).collect());
                let (name, password) = (line.word(1).to_owned(), after("insecure-password"));
                users.push(User { line: line.clone(), name, password, groups });
            }
            for line in section.lines.iter().filter(|l| l.word(0) == "group") {
                let list = line.words.iter().position(|w| w == "users").map_or("", |i| line.word(i + 1));
                for name in list.split(',') {
                    users
                        .iter_mut()
                        .filter(|u| u.name == name)
                        .for_each(|u| u.groups.push(line.word(1).to_owned()));
                }
            }
            lists.insert(section.name.clone(), users);
        }
        Self { lists }
    }

    /// The keys of a map of `Authorization` that let the users of a list in, those of some groups only.
    pub(super) fn keys(&self, list: &str, groups: Option<&Vec<String>>) -> Result<Vec<String>, &'static str> {
        let users = self.lists.get(list).ok_or("there is no such userlist")?;
        let inside = |u: &&User| groups.is_none_or(|g| g.iter().any(|g| u.groups.contains(g)));
        let key = |u: &User| {
            let pair = STANDARD.encode(format!("{}:{}", u.name, u.password.as_ref()?).as_bytes());
            Some(format!("~^[Bb]asic +{}$", escape(&pair)))
        };
        Ok(users.iter().filter(inside).filter_map(key).collect())
    }

    /// What became of the lines.
    pub(super) fn account(&self, sections: &[Section], account: &Account) {
        for section in sections.iter().filter(|s| s.kind == "userlist") {
            for line in section.head.iter().chain(section.lines.iter().filter(|l| l.word(0) == "group")) {
                account.exact(line, "in the rules that ask it");
            }
        }
        for user in self.lists.values().flatten() {
            match &user.password {
                Some(_) => account.exact(&user.line, "in the rules that ask it"),
                None => account.dropped(
                    &user.line,
                    "dropped, closed instead: a password's digest cannot be compared; this user does not get in until \
                     the password stands here (insecure-password)",
                ),
            }
        }
    }
}
