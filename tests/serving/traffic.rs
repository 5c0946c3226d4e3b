//! Requests by chance, the same ones to both programs, and what is to be the same of their answers.

use std::panic::AssertUnwindSafe;
use std::time::{SystemTime, UNIX_EPOCH};

use super::conf::{Conf, Group, Session};
use super::farm::{Farm, PEERS, ip};
use super::{Dialect, Dice};
use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::diff::unchunked;
use crate::support::eventually;

/// Both programs on one configuration.
pub struct Talk<'a> {
    dialect: Dialect,
    /// The reference is, or is made of, an older nginx than the one that we follow.
    older: bool,
    groups: &'a [Group],
    fronts: [Front<'a>; 2],
    /// Values of the sessions' cookies that were seen, an upstream each.
    jars: Vec<Vec<String>>,
    held: Vec<Held>,
    /// What was asked so far, for whoever looks for the cause.
    story: Vec<String>,
}

/// One of the programs.
struct Front<'a> {
    daemon: &'a Daemon,
    kept: Option<Client>,
}

/// A request that waits at its backend.
struct Held {
    id: usize,
    clients: Vec<Client>,
    group: usize,
    exact: bool,
}

/// A request, ready to be sent.
struct Ask {
    bytes: String,
    group: usize,
    /// Who answers is the same with both, even where chance rules.
    exact: bool,
    head: bool,
    kept: bool,
}

impl<'a> Talk<'a> {
    pub fn new(dialect: Dialect, older: bool, conf: &'a Conf, theirs: &'a Daemon, ours: &'a Daemon) -> Self {
        let fronts = [theirs, ours].map(|daemon| Front { daemon, kept: None });
        let jars = conf.groups.iter().map(|_| Vec::new()).collect();
        Self { dialect, older, groups: &conf.groups, fronts, jars, held: Vec::new(), story: Vec::new() }
    }

    pub fn step(&mut self, dice: &mut Dice, farm: &mut Farm) -> Result<(), String> {
        match dice.below(24) {
            0 => {
                let (i, back) = (dice.below(PEERS), dice.one_of(2));
                self.story.push(format!("{} {i}", if back { "revive" } else { "kill" }));
                if back {
                    farm.revive(i)
                } else {
                    farm.kill(i)
                }
                Ok(())
            }
            1 => {
                (0..PEERS).for_each(|i| farm.revive(i));
                self.story.push("all revived".to_owned());
                Ok(())
            }
            2..5 if self.held.len() < 4 => {
                let id = self.story.len();
                let ask = self.ask(dice, farm, Some(id));
                self.hold(&ask, id, farm)
            }
            5 => self.end(farm),
            _ => {
                let ask = self.ask(dice, farm, None);
                let answers = self.send(&ask);
                self.same(&ask.bytes, (ask.group, ask.exact), answers)
            }
        }
    }

    /// Lets everything go on that waits.
    pub fn end(&mut self, farm: &mut Farm) -> Result<(), String> {
        for mut held in std::mem::take(&mut self.held) {
            farm.release(held.id);
            let answers = held.clients.iter_mut().map(Client::rest).collect();
            self.same(
                &format!("the answer to what was held as {}", held.id),
                (held.group, held.exact),
                answers,
            )?;
        }
        Ok(())
    }

    fn hold(&mut self, ask: &Ask, id: usize, farm: &Farm) -> Result<(), String> {
        let mut clients = Vec::new();
        self.story.push(ask.bytes.clone());
        for front in &self.fronts {
            let (mut client, before) = (Client::connect(front.daemon.port(8080)), farm.waiting());
            client.send(&ask.bytes);
            client.stream().set_nonblocking(true).unwrap();
            eventually("the request waits, or is answered", || {
                let answered = !matches!(client.stream().peek(&mut [0]), Err(e) if e.kind() == std::io::ErrorKind::WouldBlock);
                (answered || farm.waiting() > before).then_some(())
            });
            client.stream().set_nonblocking(false).unwrap();
            clients.push(client);
        }
        self.held.push(Held { id, clients, group: ask.group, exact: ask.exact });
        Ok(())
    }

    fn send(&mut self, ask: &Ask) -> Vec<Vec<u8>> {
        let one = |front: &mut Front<'_>| {
            if !ask.kept {
                return Client::connect(front.daemon.port(8080)).send(&ask.bytes).rest();
            }
            let mut client = front.kept.take().unwrap_or_else(|| Client::connect(front.daemon.port(8080)));
            client.send(&ask.bytes);
            let read =
                AssertUnwindSafe(|| if ask.head { client.response_to_head() } else { client.response() });
            // An answer that does not end is to be told with what was asked.
            let Ok(answer) = std::panic::catch_unwind(read) else {
                return format!("no whole answer by {}\r\n", front.daemon.pid()).into_bytes();
            };
            if answer.header("Connection").as_deref() == Some("keep-alive") {
                front.kept = Some(client);
            }
            [answer.head.into_bytes(), answer.body].concat()
        };
        self.fronts.iter_mut().map(one).collect()
    }

    fn same(&mut self, asked: &str, of: (usize, bool), answers: Vec<Vec<u8>>) -> Result<(), String> {
        let (group, exact) = of;
        self.story.push(asked.to_owned());
        self.remember(group, &answers[self.story.len() % 2]);
        let mut texts: Vec<String> =
            answers.iter().zip(&self.fronts).map(|(a, front)| self.normal(group, a, front.daemon)).collect();
        if !exact {
            if let Some(served) = server(&texts[1])
                && self.groups[group].chance
                && texts[1].contains(&format!("GET /u{group}/"))
                && !self.groups[group].open.contains(&served)
            {
                return Err(format!("{served} may serve nobody\n{asked}\n{}", texts[1]));
            }
            texts = texts.iter().map(|t| masked(t)).collect();
        }
        if texts[0] != texts[1] || texts[0].starts_with("no whole") {
            let from = self.story.len().saturating_sub(60);
            return Err(format!(
                "{}\n--- asked\n{asked}\n--- theirs\n{}\n--- tenrec\n{}\n--- in full\n{}\n{}\n--- error logs\n{}\n---\n{}",
                self.story[from..].join("\n"),
                texts[0],
                texts[1],
                String::from_utf8_lossy(&answers[0]),
                String::from_utf8_lossy(&answers[1]),
                tail(&self.fronts[0].daemon.file("error.log")),
                tail(&self.fronts[1].daemon.file("error.log")),
            ));
        }
        Ok(())
    }

    fn ask(&self, dice: &mut Dice, farm: &mut Farm, hold: Option<usize>) -> Ask {
        let group = dice.below(self.groups.len());
        let g = &self.groups[group];
        if !g.faults {
            // Whether one of its peers is tried that is dead would be chance, too. (Tengine's consistent_hash leaves one alone
            // after its first failure, whatever max_fails= says.)
            g.open.iter().for_each(|i| farm.revive(*i));
        }
        let mut args = vec![format!("k={}", dice.below(9))];
        let method = ["GET", "GET", "GET", "GET", "HEAD", "POST", "DELETE"][dice.below(7)];
        let alone = hold.is_some();
        // What waits is to be answered by the first that it waits for: else it would depend on who is let go on first.
        let hold = hold.filter(|_| g.faults).map(|id| args.push(format!("hold={id}"))).is_some();
        if g.faults && !hold && dice.one_of(3) {
            for _ in 0..1 + dice.below(3) {
                let status = ["500", "502", "503", "504", "404", "403", "429", "301", "204"][dice.below(9)];
                args.push(format!("{}={status}", dice.below(PEERS)));
            }
        }
        // To HEAD nginx takes junk for an answer of HTTP/0.9 without a head, sends nothing and waits.
        if g.faults && !hold && method != "HEAD" && dice.one_of(8) {
            let what = if g.kept { "junk" } else { ["close", "junk"][dice.below(2)] };
            args.push(format!("{what}={}{}", dice.below(PEERS), dice.below(PEERS)));
        }
        if dice.one_of(10) {
            args.push("late".to_owned());
        }
        if dice.one_of(8) {
            args.push(format!(
                "domain={}&samesite={}",
                ["", "d.example"][dice.below(2)],
                ["", "LAX", "none", "odd"][dice.below(4)]
            ));
        }
        let (cookies, exact) = self.cookies(g, group, dice, &mut args);
        let kept = !alone && dice.one_of(2);
        let mut head = format!(
            "{method} /u{group}/{}?{} HTTP/1.1\r\nHost: www.example.com\r\n",
            dice.below(3),
            args.join("&")
        );
        head += &format!("X-Client: 10.{}.{}.7\r\n", dice.below(5), dice.below(3));
        head += if dice.one_of(4) { "X-Key: some\r\n" } else { "" };
        head += &cookies;
        head += if kept { "" } else { "Connection: close\r\n" };
        head += if method == "POST" { "Content-Length: 5\r\n\r\nhello" } else { "\r\n" };
        Ask { bytes: head, group, exact: exact || !g.chance, head: method == "HEAD", kept }
    }

    /// Lines of cookies, and whether they name a peer for sure.
    fn cookies(&self, g: &Group, group: usize, dice: &mut Dice, args: &mut Vec<String>) -> (String, bool) {
        let name = match &g.session {
            Session::None => {
                return (
                    if dice.one_of(3) { "Cookie: theirs=1; other=2\r\n".to_owned() } else { String::new() },
                    false,
                );
            }
            Session::Cookie(name) | Session::Tengine { cookie: name, .. } => name.as_str(),
            Session::Route => "r",
            Session::Learn => "sid",
        };
        if matches!(g.session, Session::Learn) {
            if dice.one_of(2) {
                let begin = if dice.one_of(2) { "sid=" } else { "set=sid=" };
                args.push(format!("{begin}{}", dice.below(6)));
            }
            if dice.one_of(4) {
                args.push(format!("s={}", dice.below(6)));
            }
            let cookie = if dice.one_of(3) {
                String::new()
            } else {
                format!("Cookie: a=1; sid={}\r\n", dice.below(6))
            };
            return (cookie, false);
        }
        if let Session::Tengine { theirs: true, cookie, .. } = &g.session
            && dice.one_of(2)
            // From 400 on the application's own cookie comes through there, which ends the session.
            && !args.iter().any(|a| a.contains('=') && a.starts_with(|c: char| c.is_ascii_digit()))
        {
            args.push(format!("set={cookie}=abc;+Path=/x;+HttpOnly"));
        } else if dice.one_of(8) {
            args.push("set=theirs=x;+Path=/".to_owned());
        }
        let good = dice.pick(&self.jars[group]).cloned();
        let dated = matches!(&g.session, Session::Tengine { dated: true, .. });
        let (value, sure) = match (dice.below(8), good) {
            (0, _) => return (String::new(), false),
            // Without dates a cookie is honoured here where there are limits now, and dropped there.
            (1..4, good) if dated => (redated(good.as_deref().unwrap_or("d41d8|1|1"), dice), false),
            (1, _) => (dice.pick(&g.names).cloned().unwrap_or_else(|| "none".to_owned()), false),
            (2, Some(good)) => (garbled(&good, dice), false),
            (3, _) => (
                ["d41d8cd98f00b204e9800998ecf8427e", "0", "x~y", "a|b|c", "1234567890", "%41", "é"]
                    [dice.below(7)]
                .to_owned(),
                false,
            ),
            (_, Some(good)) => (good, !g.faults || g.chance),
            (_, None) => return (String::new(), false),
        };
        // Of nobody before a `~` Tengine makes an unknown session, which `fallback=off` refuses.
        let value = value.trim_start_matches('~');
        let pair = format!("{name}={value}");
        let lines = match dice.below(6) {
            // Where nothing else is in the line, Tengine forgets that the session is over.
            _ if dated => format!("Cookie: a=1; {pair}; z=2\r\n"),
            0 => format!("Cookie: a=1; {pair}; z=2\r\n"),
            1 => format!("Cookie: a=1\r\nCookie: {pair}\r\nCookie: z=2\r\n"),
            2 => format!("cookie: {pair}\r\n"),
            3 if self.dialect == Dialect::Nginx => {
                let other = dice.pick(&self.jars[group]).cloned().unwrap_or_default();
                format!("Cookie: {pair}; {name}={other}\r\n")
            }
            4 if self.dialect == Dialect::Nginx => format!("Cookie: x{name}=no; {pair} ;  {name}=; a b\r\n"),
            _ => format!("Cookie: {pair}\r\n"),
        };
        // A blank behind the value is part of it.
        let sure = sure && !lines.contains(" ;");
        (lines, sure)
    }

    /// Keeps the session's cookie of an answer.
    fn remember(&mut self, group: usize, answer: &[u8]) {
        let text = String::from_utf8_lossy(answer).into_owned();
        let name = match &self.groups[group].session {
            Session::Cookie(name) | Session::Tengine { cookie: name, .. } => name.clone(),
            Session::Route => {
                self.jars[group].extend(self.groups[group].names.clone());
                return;
            }
            _ => return,
        };
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        for line in head.lines() {
            let Some(set) = line.strip_prefix(&format!("Set-Cookie: {name}=")) else { continue };
            let value = set.split(';').next().unwrap_or_default().to_owned();
            if !value.is_empty() && !self.jars[group].contains(&value) {
                self.jars[group].push(value);
            }
        }
    }

    /// What two programs have to say alike.
    fn normal(&self, group: usize, answer: &[u8], daemon: &Daemon) -> String {
        let text =
            String::from_utf8_lossy(&unchunked(answer)).replace(&format!(":{}", daemon.port(8080)), ":8080");
        let (head, mut body) = text.split_once("\r\n\r\n").map_or((&*text, ""), |(h, b)| (h, b));
        let page = body.starts_with('<') || head.contains("HEAD");
        let tengine = self.dialect == Dialect::Tengine;
        if page {
            body = "a page of the program's own";
        }
        // What is cut off below is not counted either.
        let of_chance = |l: &&str| self.groups[group].chance && l.starts_with("peer ");
        let cut: usize =
            body.lines().filter(of_chance).map(|l| l.len() - l.find(',').unwrap_or(l.len())).sum();
        let mut out = String::new();
        for line in head.lines() {
            let name = line.split(':').next().unwrap_or_default();
            let taken_back = "Max-Age=0; Expires=Thu, 01-Jan-1970";
            match name {
                "Date" | "Server" => out += name,
                // Ours takes a cookie back that means nobody, so that no client stays locked out.
                "Set-Cookie" if tengine && line.contains(taken_back) => continue,
                // Nobody is asked: Tengine does not say that it was the upstream.
                "X-Addr" if tengine && !line.contains("127.") => continue,
                "Content-Length" if page || tengine => out += name,
                "Content-Length" if cut > 0 => {
                    let len = line.split_once(": ").and_then(|(_, len)| len.parse::<usize>().ok());
                    out += &format!("{name}: {:?}", len.map(|len| len.checked_sub(cut)));
                }
                _ => out += &timeless(line),
            }
            out.push('\n');
        }
        out.push('\n');
        for line in body.lines() {
            // Who is connected to is chance, too.
            let line = if self.groups[group].chance && line.starts_with("peer ") {
                line.split(',').next().unwrap_or_default()
            } else {
                line
            };
            // What is left of a line of which a cookie was hidden is tidier here.
            let line = match line.split_once(": ") {
                Some((name, value)) if tengine && name.eq_ignore_ascii_case("cookie") => {
                    let pairs: Vec<&str> =
                        value.split(';').map(str::trim).filter(|p| !p.is_empty()).collect();
                    if pairs.is_empty() {
                        continue;
                    }
                    format!("{name}: {}", pairs.join("; "))
                }
                // How long the one chunk is in which all is.
                _ if tengine && !line.is_empty() && line.bytes().all(|b| b.is_ascii_hexdigit()) => continue,
                // Whether Host or this one comes first has changed in nginx.
                _ if self.older && line == "Connection: close" => continue,
                _ if tengine && line.eq_ignore_ascii_case("cookie: ") => continue,
                _ => line.to_owned(),
            };
            out += &line;
            out.push('\n');
        }
        out
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// Something that is not quite what it was.
fn garbled(good: &str, dice: &mut Dice) -> String {
    let at = dice.below(good.len().max(1));
    match dice.below(5) {
        0 => good[..at].to_owned(),
        1 => format!("{good}0"),
        2 => good.to_ascii_uppercase(),
        3 => format!("{}{}", &good[at..], &good[..at]),
        _ => {
            let mut bytes = good.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            String::from_utf8_lossy(&bytes).into_owned()
        }
    }
}

/// A session of another age, or of a peer that never was.
fn redated(good: &str, dice: &mut Dice) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let sid = if dice.one_of(3) { "127.9.9.9:80" } else { good.split('|').next().unwrap_or_default() };
    let mut date = || now + [0, -50, -200, -2000, 80_000, 100_000][dice.below(6)];
    format!("{sid}|{}|{}", date(), date())
}

/// A line without what the clock decides: times of day, and dates in a cookie that are now.
fn timeless(line: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let line = match line.find(" GMT") {
        Some(end) if end >= 8 && line.is_char_boundary(end - 8) => {
            format!("{}TT:TT:TT{}", &line[..end - 8], &line[end..])
        }
        _ => line.to_owned(),
    };
    let date = |part: &str| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        let near = digits.parse::<u64>().is_ok_and(|t| t.abs_diff(now) <= 20);
        if near { format!("NOW{}", &part[digits.len()..]) } else { part.to_owned() }
    };
    let mut parts = line.split('|');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + "|" + &date(part))
}

/// Which peer's name the body bears.
fn server(text: &str) -> Option<usize> {
    text.split("\npeer ").nth(1)?.split(',').next()?.parse().ok()
}

/// An answer of which it is not told who gave it.
fn masked(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        if line.starts_with("peer ") {
            out += "peer";
        } else if line.starts_with("X-Addr") {
            out += "X-Addr";
        } else if let Some(set) = line.strip_prefix("Set-Cookie: ") {
            let (pair, rest) = set.split_once(';').unwrap_or((set, ""));
            let name = pair.split('=').next().unwrap_or_default();
            out += &format!("Set-Cookie: {name}=…;{rest}");
        } else {
            out += line;
        }
        out.push('\n');
    }
    for i in 0..PEERS {
        out = out.replace(&ip(i), "IP");
    }
    out
}
