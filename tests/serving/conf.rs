//! A configuration by chance, out of what both programs know.

use md5::{Digest, Md5};

use super::farm::{Farm, PEERS};
use super::{Dialect, Dice};

/// What an upstream of the configuration is, for those who ask it.
pub struct Group {
    /// The peers' numbers, backups among them, without those that are `down` or drain.
    pub open: Vec<usize>,
    /// Which of them answers is nobody's to foretell.
    pub chance: bool,
    pub session: Session,
    /// What the cookie says for its open servers.
    pub names: Vec<String>,
    /// Requests may be made to fail: the outcome does not depend on what is done better here on purpose.
    pub faults: bool,
    /// Connections to its peers are kept. (One that breaks when it is used again is the peer's failure for nginx, and
    /// here none at all.)
    pub kept: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Session {
    None,
    /// The cookie's name; dated.
    Cookie(String),
    Tengine {
        cookie: String,
        dated: bool,
        theirs: bool,
        strict: bool,
    },
    /// A cookie or an argument holds it.
    Route,
    Learn,
}

pub struct Conf {
    pub text: String,
    pub groups: Vec<Group>,
}

pub fn make(dialect: Dialect, dice: &mut Dice, farm: &Farm) -> Conf {
    let many = 4 + dice.below(5);
    let (mut blocks, mut locations, mut groups) = (String::new(), String::new(), Vec::new());
    for i in 0..many {
        let (block, group) = upstream(dialect, i, dice, farm);
        locations += &location(i, groups.last(), dice, &group);
        blocks += &block;
        groups.push(group);
    }
    let text = format!(
        "worker_processes 1; pid p.pid; error_log error.log info;\nevents {{ }}\nhttp {{ access_log off;\n\
         proxy_http_version 1.1; proxy_set_header Connection '';\n\
         set_real_ip_from 127.0.0.1; real_ip_header X-Client;\n\
         add_header X-Addr $upstream_addr always; add_header X-Status $upstream_status always;\n\
         {blocks}server {{ listen 127.0.0.1:%%8080%%;\n{locations}}}\n}}\n"
    );
    Conf { text, groups }
}

fn upstream(dialect: Dialect, i: usize, dice: &mut Dice, farm: &Farm) -> (String, Group) {
    let session = session(dialect, i, dice);
    let tengine = matches!(session, Session::Tengine { .. });
    let (method, chance) = if tengine { (String::new(), true) } else { method(dialect, dice) };
    let hashes = ["hash", "ip_hash", "random", "consistent_hash"];
    let backups = !tengine && !hashes.iter().any(|m| method.trim().starts_with(m));
    let mut group = Group {
        open: Vec::new(),
        chance,
        session,
        names: Vec::new(),
        kept: !dice.one_of(3),
        faults: !tengine && !method.trim().starts_with("consistent") && !chance,
    };
    let mut peers: Vec<usize> = (0..PEERS).collect();
    let mut lines = String::new();
    let mut plain = 0;
    for nth in 0..1 + dice.below(5) {
        let peer = peers.remove(dice.below(peers.len()));
        let mut line = format!("server {}", farm.addr(peer));
        if dice.one_of(2) {
            line += &format!(" weight={}", 1 + dice.below(4));
        }
        let mut down = nth > 0 && dice.one_of(10);
        if !group.faults {
            line += " max_fails=0";
        } else if dice.one_of(2) {
            line += &format!(" max_fails={}", dice.below(4));
        }
        line += if dice.one_of(6) { " fail_timeout=1s" } else { " fail_timeout=60s" };
        if group.faults && dice.one_of(6) {
            line += &format!(" max_conns={}", 1 + dice.below(3));
        }
        if backups && nth > 0 && dice.one_of(5) {
            line += " backup";
        } else {
            plain += 1;
        }
        line += if down { " down" } else { "" };
        if dialect == Dialect::Nginx && nth > 0 && !down && dice.one_of(10) {
            line += " drain";
            down = true;
        }
        match &group.session {
            Session::Tengine { .. } if dice.one_of(3) => {
                line += &format!(" id=s{peer}");
                group.names.push(format!("s{peer}"));
            }
            Session::Cookie(_) | Session::Route | Session::Learn if dice.one_of(2) => {
                line += &format!(" route=r{}", peer / 2 * 2);
                group.names.push(format!("r{}", peer / 2 * 2));
            }
            Session::None => {}
            Session::Tengine { .. } => group.names.push(farm.addr(peer)),
            _ => group.names.push(Md5::digest(farm.addr(peer)).iter().map(|b| format!("{b:02x}")).collect()),
        }
        if down {
            // Tengine sends its sessions there.
            group.names.pop();
        } else {
            group.open.push(peer);
        }
        lines += &format!("  {line};\n");
    }
    let zone = if dice.one_of(2) { format!("  zone u{i} 256k;\n") } else { String::new() };
    // Without the line, nginx keeps connections since 1.29.7 only.
    let keep = if dialect == Dialect::Plain || dice.one_of(3) {
        format!("  keepalive {};\n", 1 + dice.below(4))
    } else {
        String::new()
    };
    let sticky = sticky(&group.session, i, dice);
    debug_assert!(plain > 0, "the first server is none of the backups");
    // Tengine's session_sticky has to stand before its servers, and nginx's after the method.
    let all = if tengine { [&sticky, &zone, &lines, &keep] } else { [&method, &zone, &lines, &sticky] };
    let keep = if tengine { "" } else { &keep };
    (format!("upstream u{i} {{\n{}{keep}}}\n", all.map(|s| &**s).concat()), group)
}

fn method(dialect: Dialect, dice: &mut Dice) -> (String, bool) {
    let (text, chance) = match dice.below(10) {
        0 => ("ip_hash", false),
        1 => ("hash $arg_k", false),
        2 => ("hash $arg_k$http_x_key consistent", false),
        3 => ("least_conn", false),
        4 if dialect == Dialect::Nginx => {
            (["least_time header", "least_time last_byte inflight"][dice.below(2)], true)
        }
        5 => (["random", "random two", "random two least_conn"][dice.below(3)], true),
        6 if dialect == Dialect::Tengine => ("consistent_hash $arg_k", false),
        // Tengine's round begins anywhere.
        _ => return (String::new(), dialect == Dialect::Tengine),
    };
    let chance = chance || dialect == Dialect::Tengine && text == "least_conn";
    (format!("  {text};\n"), chance)
}

fn session(dialect: Dialect, i: usize, dice: &mut Dice) -> Session {
    let name = ["route", "srv", "SRV_id", "sid", "a.b-c"][dice.below(5)];
    match (dialect, dice.below(6)) {
        (Dialect::Plain, _) | (_, 0) => Session::None,
        (Dialect::Tengine, _) => {
            let theirs = dice.one_of(3);
            Session::Tengine {
                cookie: format!("{name}{i}"),
                dated: !theirs && dice.one_of(3),
                theirs,
                strict: dice.one_of(3),
            }
        }
        (Dialect::Nginx, 1) => Session::Route,
        (Dialect::Nginx, 2) => Session::Learn,
        (Dialect::Nginx, _) => Session::Cookie(format!("{}{i}", name.replace(['.', '-'], "_"))),
    }
}

/// One time in three there is more to say.
fn may(line: &mut String, text: &str, dice: &mut Dice) {
    *line += if dice.one_of(3) { text } else { "" };
}

fn sticky(session: &Session, i: usize, dice: &mut Dice) -> String {
    let mut line = match session {
        Session::None => return String::new(),
        Session::Route => return "  sticky route $cookie_r $arg_r;\n".to_owned(),
        Session::Learn => {
            let header = if dice.one_of(2) { " header" } else { "" };
            return format!(
                "  sticky learn create=$upstream_http_x_session create=$upstream_cookie_sid lookup=$cookie_sid lookup=$arg_s zone=z{i}:64k timeout=1h{header};\n"
            );
        }
        Session::Cookie(name) => format!("  sticky cookie {name}"),
        Session::Tengine { cookie, .. } => format!("  session_sticky cookie={cookie}"),
    };
    match session {
        Session::Cookie(_) => {
            may(&mut line, " expires=1h", dice);
            may(&mut line, " domain=.example.com", dice);
            may(&mut line, " httponly", dice);
            may(&mut line, " secure", dice);
            may(&mut line, " samesite=lax", dice);
            may(&mut line, " path=/p", dice);
            if !line.contains("expires") {
                may(&mut line, " expires=max", dice);
            }
            if !line.contains("domain") {
                may(&mut line, " domain=$arg_domain", dice);
            }
            if !line.contains("samesite") {
                may(&mut line, " samesite=$arg_samesite", dice);
            }
        }
        Session::Tengine { dated, theirs, strict, .. } => {
            may(&mut line, " domain=.example.com", dice);
            may(&mut line, " path=/p", dice);
            may(&mut line, " maxage=3600", dice);
            may(&mut line, " hash=plain", dice);
            let tail = match (dated, theirs) {
                (true, _) => [" maxidle=100", " maxlife=1000", " maxidle=100 maxlife=1000"][dice.below(3)],
                (_, true) => [" mode=rewrite", " mode=prefix"][dice.below(2)],
                _ => "",
            };
            line += tail;
            if !theirs && dice.one_of(2) {
                line += [" option=indirect", " option=direct", " mode=insert"][dice.below(3)];
            }
            line += if *strict { " fallback=off" } else { "" };
        }
        _ => {}
    }
    line + ";\n"
}

fn location(i: usize, before: Option<&Group>, dice: &mut Dice, group: &Group) -> String {
    let mut lines = String::new();
    if let Session::Tengine { .. } = group.session {
        // What Tengine does to retries of pinned requests harms sessions, and it keeps none without the second line.
        lines += "proxy_next_upstream off; ";
        lines += &format!("session_sticky_{} upstream=u{i}; ", ["hide_cookie", "header"][dice.below(2)]);
    } else {
        let all = [
            "error",
            "timeout",
            "invalid_header",
            "http_500",
            "http_502",
            "http_503",
            "http_504",
            "http_403",
            "http_404",
            "http_429",
            "non_idempotent",
        ];
        let some: Vec<&str> = all.into_iter().filter(|_| dice.one_of(2)).collect();
        match dice.below(4) {
            0 => {}
            1 => lines += "proxy_next_upstream off; ",
            _ if some.is_empty() => {}
            _ => lines += &format!("proxy_next_upstream {}; ", some.join(" ")),
        }
        if dice.one_of(4) {
            lines += &format!("proxy_next_upstream_tries {}; ", 1 + dice.below(3));
        }
    }
    // Where chance rules there, it has to rule here.
    if before.is_some_and(|other| group.chance || !other.chance)
        // Tengine takes the cookie out of the request itself, for wherever it goes afterwards.
        && !matches!(group.session, Session::Tengine { .. })
        && dice.one_of(5)
    {
        lines +=
            &format!("proxy_intercept_errors on; error_page 500 502 503 504 = /u{}/elsewhere?k=7; ", i - 1);
    }
    if !group.kept {
        lines += "proxy_set_header Connection close; ";
    }
    if dice.one_of(6) {
        lines += "proxy_buffering off; ";
    }
    if dice.one_of(6) {
        lines += "proxy_request_buffering off; ";
    }
    if dice.one_of(6) {
        lines += "proxy_cookie_path / /below; proxy_cookie_flags ~ httponly; ";
    }
    if dice.one_of(8) {
        lines += "proxy_hide_header Set-Cookie; ";
    }
    let to = if dice.one_of(6) {
        format!("set $to u{i}; proxy_pass http://$to; ")
    } else {
        format!("proxy_pass http://u{i}; ")
    };
    format!("  location /u{i}/ {{ {lines}{to}}}\n")
}
