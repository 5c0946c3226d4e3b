//! What tenrec adds to nginx's words: a "did you mean", where a directive belongs, where it comes from.

use super::registry::{CONTEXTS, ELSEWHERE};
use super::{Context, Count, Id, Row, Status, all};

/// For a name that is in no table.
pub(super) fn unknown(name: &str, here: Context) -> Option<String> {
    if let Some(home) = elsewhere(name) {
        return Some(format!("\"{name}\" is {home}"));
    }
    near(name, here).map(|other| format!("did you mean \"{other}\"?"))
}

pub(super) fn elsewhere(name: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find_map(|&(pattern, home)| {
        let hit = match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        };
        hit.then_some(home)
    })
}

/// The nearest name by edits, those that may stand here before others; nothing that is not near.
fn near(name: &str, here: Context) -> Option<&'static str> {
    let most = match name.len() {
        0..=2 => return None,
        3..=5 => 1,
        6..=64 => 2,
        _ => return None,
    };
    let lower = name.to_ascii_lowercase().replace('-', "_");
    all()
        .iter()
        .filter(|row| row.name.len().abs_diff(lower.len()) <= most)
        .filter_map(|row| {
            let edits = edits(lower.as_bytes(), row.name.as_bytes(), most)?;
            let away = !row.contexts.intersects(here);
            Some(((edits, away, row.status.cmp(&Status::Full)), row.name))
        })
        .min()
        .map(|(_, name)| name)
}

/// The nearest of `words` to one that is none of them.
pub fn near_word(word: &str, words: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    let most = match word.len() {
        0..=2 => return None,
        3..=5 => 1,
        6..=64 => 2,
        _ => return None,
    };
    let edits = |w: &'static str| Some((edits(word.to_ascii_lowercase().as_bytes(), w.as_bytes(), most)?, w));
    words.into_iter().filter_map(edits).min().map(|(_, w)| w)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`, when at most `most`.
fn edits(a: &[u8], b: &[u8], most: usize) -> Option<usize> {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let swap = i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x;
            let mut cost = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if swap {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().filter(|&n| n <= most)
}

/// Where a directive may stand, for one that stands elsewhere.
pub(super) fn contexts(id: Id, here: Context) -> String {
    let all = id.rows().iter().fold(Context::empty(), |all, row| all | row.contexts);
    let near = id.rows().iter().filter(|r| same_family(r.contexts, here)).map(|r| r.contexts);
    let near = near.fold(Context::empty(), |all, c| all | c);
    format!("it may stand in {}", words(if near.is_empty() { all } else { near }))
}

fn words(contexts: Context) -> String {
    let names: Vec<&str> =
        CONTEXTS.iter().filter(|(c, ..)| contexts.contains(*c)).map(|(_, name, _)| *name).collect();
    names.join(", ")
}

/// Whether some of `contexts` belong to the tree that `here` is in.
pub(super) fn same_family(contexts: Context, here: Context) -> bool {
    let family = |c: Context| CONTEXTS.iter().filter(move |(x, ..)| c.contains(*x)).map(|(.., f)| *f);
    family(here).any(|f| family(contexts).any(|g| f == g))
}

/// How many arguments a directive takes.
pub(super) fn count(row: &Row) -> String {
    let text = match row.arity.count {
        Count::Any => "any number of arguments".to_owned(),
        Count::Flag => "\"on\" or \"off\"".to_owned(),
        Count::AtLeast(1) => "at least one argument".to_owned(),
        Count::AtLeast(n) => format!("at least {n} arguments"),
        Count::OneOf(1) => "no argument".to_owned(),
        Count::OneOf(2) => "one argument".to_owned(),
        Count::OneOf(mask) => {
            let counts: Vec<String> =
                (0..8).filter(|n| mask & (1 << n) != 0).map(|n: u8| n.to_string()).collect();
            format!("{} arguments", counts.join(" or "))
        }
    };
    format!("it takes {text}")
}

/// Why a directive is refused.
pub(super) fn refused(row: &Row) -> String {
    let what = match row.note {
        "" => row.help.trim_end_matches('.'),
        note => note,
    };
    format!("what it does is not carried out: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        assert_eq!(near("proxy_pas", Context::LOCATION), Some("proxy_pass"));
        assert_eq!(near("porxy_pass", Context::LOCATION), Some("proxy_pass"));
        assert_eq!(near("server-name", Context::SERVER), Some("server_name"));
        assert_eq!(near("Listen", Context::SERVER), Some("listen"));
        assert_eq!(near("ro", Context::SERVER), None);
        assert_eq!(near("frobnicate", Context::SERVER), None);
    }

    #[test]
    fn the_name_that_may_stand_here_wins() {
        // One edit from `limit_rate`, `limit_req` two; `sever` is one from `server` wherever it stands.
        assert_eq!(near("sever", Context::UPSTREAM), Some("server"));
        assert_eq!(near("limit_rat", Context::LOCATION), Some("limit_rate"));
    }

    #[test]
    fn edits_count_swaps_as_one() {
        assert_eq!(edits(b"ab", b"ba", 2), Some(1));
        assert_eq!(edits(b"abc", b"abc", 0), Some(0));
        assert_eq!(edits(b"abc", b"xyz", 2), None);
    }
}
