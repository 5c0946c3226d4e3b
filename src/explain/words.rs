//! Things of a plan in words of the configuration.

use crate::diag::{FileId, SourceMap};
use crate::plan::{
    FileKind, GateRule, LocId, LocMatch, Location, Method, Part, Plan, RegexId, SetTo, Template, Test, Var,
    Who,
};

/// A plan and the files it was made of.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    pub plan: &'a Plan,
    pub map: &'a SourceMap,
}

impl Names<'_> {
    /// `FILE:LINE`
    pub fn place(&self, (file, offset): (FileId, u32)) -> String {
        let file = self.map.file(file);
        format!("{}:{}", file.name, file.line_col(offset).0)
    }

    pub fn loc_place(&self, loc: LocId) -> String {
        self.plan.locations.get(loc.ix()).map_or(String::new(), |l| self.place(l.at))
    }

    /// `= /x`, `^~ /x`, `~ \.php$`, `@x`, `/x`; `server` and `if` for what is no location.
    pub fn location(&self, loc: LocId) -> String {
        let Some(l) = self.plan.locations.get(loc.ix()) else { return String::new() };
        let name = text(&l.name);
        match l.kind {
            LocMatch::Server => "server".to_owned(),
            LocMatch::Exact => format!("= {name}"),
            LocMatch::Prefix | LocMatch::Named => name,
            LocMatch::PrefixNoRegex => format!("^~ {name}"),
            LocMatch::Regex => format!("{} {name}", if self.caseless(l, loc) { "~*" } else { "~" }),
            LocMatch::If => "if".to_owned(),
            LocMatch::LimitExcept => "limit_except".to_owned(),
        }
    }

    fn caseless(&self, location: &Location, loc: LocId) -> bool {
        let server = self.plan.servers.get(location.server.ix()).map(|s| &s.router);
        let routers = server.into_iter().chain(self.plan.locations.iter().map(|l| &l.router));
        let mut all = routers.flat_map(|r| &r.regexes);
        let found = all.find(|(_, id)| *id == loc).and_then(|(regex, _)| self.plan.regexes.get(regex.ix()));
        found.is_some_and(|r| r.caseless)
    }

    pub fn server(&self, server: crate::plan::ServerId) -> (String, String) {
        let found = self.plan.servers.get(server.ix());
        let name = found.map_or(String::new(), |s| text(&s.name));
        (name, found.map_or(String::new(), |s| self.loc_place(s.root)))
    }

    pub fn regex(&self, regex: RegexId) -> &str {
        self.plan.regexes.get(regex.ix()).map_or("", |r| &r.pattern)
    }

    pub fn var(&self, var: &Var) -> String {
        let under = |prefix: &str, name: &[u8]| format!("${prefix}{}", text(name).replace('-', "_"));
        match var {
            Var::Fixed(id) => format!("${}", id.name()),
            Var::Http(n) => under("http_", n),
            Var::SentHttp(n) => under("sent_http_", n),
            Var::SentTrailer(n) => under("sent_trailer_", n),
            Var::UpstreamHttp(n) => under("upstream_http_", n),
            Var::UpstreamTrailer(n) => under("upstream_trailer_", n),
            Var::UpstreamCookie(n) => format!("$upstream_cookie_{}", text(n)),
            Var::Cookie(n) => format!("$cookie_{}", text(n)),
            Var::Arg(n) => format!("$arg_{}", text(n)),
            Var::Capture(n) => format!("${n}"),
            Var::Slot(id) => format!("${}", self.plan.slots.get(id.ix()).map_or("", |s| &s.name)),
        }
    }

    pub fn template(&self, template: &Template) -> String {
        let part = |part: &Part| match part {
            Part::Text(t) => text(t),
            Part::Var(var) => self.var(var),
        };
        template.parts.iter().map(part).collect()
    }

    pub fn set_to(&self, to: SetTo) -> String {
        match to {
            SetTo::Slot(id) => self.var(&Var::Slot(id)),
            SetTo::Args => "$args".to_owned(),
            SetTo::LimitRate => "$limit_rate".to_owned(),
        }
    }

    /// The condition of an `if`.
    pub fn test(&self, test: &Test) -> String {
        let bang = |not: bool| if not { "!" } else { "" };
        match test {
            Test::True(var) => self.var(var),
            Test::Equal { var, value, not } => {
                format!("{} {}= {}", self.var(var), bang(*not), self.template(value))
            }
            Test::Matches { var, regex, not } => {
                let star = self.plan.regexes.get(regex.ix()).is_some_and(|r| r.caseless);
                let star = if star { "*" } else { "" };
                format!("{} {}~{star} {}", self.var(var), bang(*not), self.regex(*regex))
            }
            Test::File { path, kind, not } => {
                let letter = match kind {
                    FileKind::Plain => 'f',
                    FileKind::Dir => 'd',
                    FileKind::Any => 'e',
                    FileKind::Exec => 'x',
                };
                format!("{}-{letter} {}", bang(*not), self.template(path))
            }
        }
    }

    /// The balancer's directive.
    pub fn method(&self, method: &Method) -> String {
        match method {
            Method::RoundRobin => "round robin".to_owned(),
            Method::IpHash => "ip_hash".to_owned(),
            Method::Hash(key) => format!("hash {}", self.template(key)),
            Method::HashConsistent(key) => format!("hash {} consistent", self.template(key)),
            Method::LeastConn => "least_conn".to_owned(),
            Method::Random { two: false } => "random".to_owned(),
            Method::Random { two: true } => "random two".to_owned(),
            Method::RandomLeastTime { last_byte } => format!("random two least_time={}", time(*last_byte)),
            Method::LeastTime { last_byte, inflight } => {
                format!("least_time {}{}", time(*last_byte), if *inflight { " inflight" } else { "" })
            }
            Method::ConsistentHash(key) => format!("consistent_hash {}", self.template(key)),
        }
    }
}

/// What is timed of an answer.
fn time(last_byte: bool) -> &'static str {
    if last_byte { "last_byte" } else { "header" }
}

/// `allow 10.0.0.0/8`
pub fn rule(rule: &GateRule) -> String {
    let who = match rule.who {
        Who::All => "all".to_owned(),
        Who::Unix => "unix:".to_owned(),
        Who::Network(network) => format!("{}/{}", network.network, network.bits),
    };
    format!("{} {who}", if rule.allow { "allow" } else { "deny" })
}

/// Bytes of a configuration or a request as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Path and arguments.
pub fn uri(path: &[u8], args: &[u8]) -> String {
    if args.is_empty() { text(path) } else { format!("{}?{}", text(path), text(args)) }
}
