//! Owns: the load balancers of clouds, as their APIs tell them in JSON: Alibaba Cloud's SLB and ALB, Tencent Cloud's CLB.
//! May use: the migrate room's model, input and ledger, and what lies below migrate.
//! Never touches: the text that is written, sockets, the APIs.

mod aliyun;
mod check;
mod tencent;

use super::can::Can;
use super::input::{Input, Place, Problem};
use super::json::{self, Node, Value};
use super::ledger::Ledger;
use super::model::{Line, Location, Model, Names, Peer, Server, Session, Sticky, StickyKind, Upstream};
use super::report::{Class, Fate, Report, Sessions};

pub(super) use aliyun::convert as aliyun;
pub(super) use tencent::convert as tencent;

/// What the parts of a conversion share.
struct Cx {
    ledger: Ledger,
    can: Can,
    model: Model,
    names: Names,
}

/// A group of servers on the way to an upstream.
struct Group<'n> {
    wanted: String,
    node: &'n Node,
    method: Option<Line>,
    sticky: Option<Sticky>,
    peers: Vec<Peer>,
    lines: Vec<Line>,
}

/// Reads every input and has `work` map the documents.
fn documents(
    inputs: &[Input],
    can: Can,
    report: &mut Report,
    work: impl FnOnce(&mut Cx, &[Node]) -> Result<(), &'static str>,
) -> Result<Model, Problem> {
    let mut roots = Vec::new();
    let mut next = 0;
    for file in 0..inputs.len() {
        let root = json::parse(inputs, file, next)?;
        next = root.last_id() + 1;
        if !matches!(root.value, Value::Map(_) | Value::List(_)) {
            return Err(Problem::new(inputs, root.place, "an object or a list is expected here"));
        }
        roots.push(root);
    }
    let mut cx = Cx { ledger: Ledger::default(), can, model: Model::default(), names: Names::default() };
    let start = roots.first().map_or(Place { file: 0, line: 1, column: 1 }, |r| r.place);
    work(&mut cx, &roots).map_err(|why| Problem::new(inputs, start, why))?;
    for root in &roots {
        cx.ledger.rows(root, &mut report.rows);
    }
    Ok(cx.model)
}

/// The field of a map, however it is spelled: `StickySession`, `stickySession`, `sticky_session`.
fn field<'n>(of: &'n Node, name: &str) -> Option<&'n Node> {
    let same = |key: &str| {
        let mut a = key.bytes().filter(|b| *b != b'_').map(|b| b.to_ascii_lowercase());
        let mut b = name.bytes().filter(|b| *b != b'_').map(|b| b.to_ascii_lowercase());
        loop {
            match (a.next(), b.next()) {
                (None, None) => return true,
                (x, y) if x == y => {}
                _ => return false,
            }
        }
    };
    of.fields().iter().find(|(k, _)| same(k)).map(|(_, n)| n)
}

/// A list, or the list in an object of one field, as the older API has it.
fn list(node: &Node) -> &[Node] {
    match node.fields() {
        [(_, inner)] => inner.items(),
        _ => node.items(),
    }
}

/// Every object below `node` that `is` takes; none is looked for inside one that was found.
fn find<'n>(node: &'n Node, is: &impl Fn(&Node) -> bool, out: &mut Vec<&'n Node>) {
    if is(node) {
        out.push(node);
        return;
    }
    node.items().iter().for_each(|n| find(n, is, out));
    node.fields().iter().for_each(|(_, n)| find(n, is, out));
}

impl Cx {
    /// A field as a text, numbers too.
    fn text<'n>(&mut self, of: &'n Node, name: &str) -> Option<(&'n Node, &'n str)> {
        let node = field(of, name)?;
        match &node.value {
            Value::Text(t) | Value::Number(t) => Some((node, t)),
            Value::Null => {
                self.ledger.exact(node, "not set");
                None
            }
            _ => {
                self.ledger.drop_all(node, "a text is expected here");
                None
            }
        }
    }

    fn number<'n>(&mut self, of: &'n Node, name: &str) -> Option<(&'n Node, u32)> {
        let (node, text) = self.text(of, name)?;
        match text.parse() {
            Ok(n) => Some((node, n)),
            Err(_) => {
                self.ledger.dropped(node, format!("\"{text}\" is no whole number in range"));
                None
            }
        }
    }

    /// `on`, `off`, `true`, `false`, 0, 1.
    fn switch<'n>(&mut self, of: &'n Node, name: &str) -> Option<(&'n Node, bool)> {
        let node = field(of, name)?;
        let on = match &node.value {
            Value::Bool(b) => *b,
            Value::Text(t) | Value::Number(t) => match t.to_ascii_lowercase().as_str() {
                "on" | "true" | "1" => true,
                "off" | "false" | "0" | "" => false,
                _ => {
                    self.ledger.dropped(node, "on or off is expected here");
                    return None;
                }
            },
            Value::Null => {
                self.ledger.exact(node, "not set");
                return None;
            }
            _ => {
                self.ledger.drop_all(node, "on or off is expected here");
                return None;
            }
        };
        Some((node, on))
    }

    /// Fields that say nothing of the traffic.
    fn silent(&mut self, of: &Node, names: &[&str]) {
        for name in names {
            if let Some(node) = field(of, name) {
                self.ledger.all(node, Class::Exact, "says nothing of the traffic");
            }
        }
    }

    /// Fields that have no counterpart, with the reason.
    fn absent(&mut self, of: &Node, names: &[(&str, &str)]) {
        for (name, why) in names {
            if let Some(node) = field(of, name) {
                let off = match &node.value {
                    Value::Null | Value::Bool(false) => true,
                    Value::Text(t) => t.is_empty() || t == "off",
                    Value::Number(t) => t == "0" || t == "-1",
                    Value::List(l) => l.is_empty(),
                    Value::Map(m) => m.is_empty(),
                    _ => false,
                };
                if off {
                    self.ledger.exact(node, "not set");
                } else {
                    self.ledger.drop_all(node, why);
                }
            }
        }
    }

    /// An inserted cookie whose dates are in it.
    fn inserted(&mut self, at: &Node, cookie: &str, idle: Option<u32>, indirect: bool) -> Sticky {
        let mut session = Session::insert(cookie);
        session.maxidle = idle.map(u64::from);
        session.indirect = indirect;
        session.plain = false;
        Sticky { cite: Some(at.place), kind: StickyKind::Session(session) }
    }

    /// The upstream of a group; `None`: it has no server.
    fn upstream(&mut self, group: Group<'_>, why: &str) -> Option<String> {
        if group.peers.is_empty() {
            return None;
        }
        let name = self.names.make(&group.wanted);
        if group.sticky.is_some() {
            let why = why.to_owned();
            self.model.sessions.push(Sessions { upstream: name.clone(), fate: Fate::Lost, why });
        }
        self.model.upstreams.push(Upstream {
            name: name.clone(),
            cite: Some(group.node.place),
            method: group.method,
            sticky: group.sticky,
            peers: group.peers,
            lines: group.lines,
        });
        Some(name)
    }

    /// The lines of a location that leads to the upstream.
    fn pass(&self, upstream: Option<&str>) -> Vec<Line> {
        let Some(name) = upstream else { return vec![Line::new(None, ["return", "503"])] };
        let mut lines = vec![Line::new(None, ["proxy_set_header", "Host", "$http_host"])];
        let sticky = self.model.upstreams.iter().find(|u| u.name == name).and_then(|u| u.sticky.as_ref());
        if let Some(StickyKind::Session(s)) = sticky.map(|s| &s.kind)
            && s.hides()
        {
            let words = ["session_sticky_hide_cookie".to_owned(), format!("upstream={name}")];
            lines.push(Line::new(None, words));
        }
        lines.push(Line::new(None, ["proxy_pass".to_owned(), format!("http://{name}")]));
        lines
    }

    /// Adds a location to the server of a name, which is made when there is none.
    fn place(&mut self, listen: &Listen, name: &str, location: Location) -> Result<(), &'static str> {
        let wanted = if name.is_empty() { "_" } else { name };
        let port = listen.port.to_string();
        let of = |s: &Server| {
            s.listens.iter().any(|l| l.words.get(1) == Some(&port)) && s.names.iter().any(|n| n == wanted)
        };
        let at = match self.model.servers.iter().position(of) {
            Some(at) => at,
            None => {
                let mut words = vec!["listen".to_owned(), port];
                if listen.tls {
                    words.push("ssl".to_owned());
                }
                if wanted == "_" {
                    words.push("default_server".to_owned());
                }
                self.model.servers.push(Server {
                    cite: Some(listen.at),
                    listens: vec![Line::new(Some(listen.at), words)],
                    names: vec![wanted.to_owned()],
                    lines: listen.lines.clone(),
                    locations: Vec::new(),
                });
                self.model.servers.len() - 1
            }
        };
        let Some(server) = self.model.servers.get_mut(at) else { return Ok(()) };
        if server.locations.iter().any(|l| l.path == location.path && l.modifier == location.modifier) {
            return Err("the path has a rule already");
        }
        server.locations.push(location);
        Ok(())
    }

    /// Every server of the port answers every path: what no rule takes gets 404, an unknown host too.
    fn close(&mut self, listen: &Listen) {
        let port = listen.port.to_string();
        let mut default = false;
        for server in &mut self.model.servers {
            if !server.listens.iter().any(|l| l.words.get(1) == Some(&port)) {
                continue;
            }
            default |= server.listens.iter().any(|l| l.words.iter().any(|w| w == "default_server"));
            if !server.locations.iter().any(|l| l.path == "/" && l.modifier.is_empty()) {
                server.locations.push(nowhere());
            }
        }
        if !default {
            let _ = self.place(listen, "", nowhere());
        }
    }
}

fn nowhere() -> Location {
    let lines = vec![Line::new(None, ["return", "404"])];
    Location { cite: None, modifier: "", path: "/".to_owned(), lines }
}

/// A listener that is opened.
struct Listen {
    port: u16,
    at: Place,
    lines: Vec<Line>,
    tls: bool,
}

/// `host:port` for a `server` line.
fn endpoint(host: &str, port: u32) -> Option<String> {
    let port = u16::try_from(port).ok().filter(|p| *p > 0)?;
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match host.parse::<std::net::IpAddr>() {
        Ok(ip) => Some(std::net::SocketAddr::new(ip, port).to_string()),
        Err(_) => (!host.is_empty() && host.chars().all(fit)).then(|| format!("{host}:{port}")),
    }
}

/// The name of a server: a host, `*.host`.
pub(super) fn server_name(text: &str) -> Option<String> {
    let rest = text.strip_prefix("*.").unwrap_or(text);
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (!rest.is_empty() && rest.chars().all(fit)).then(|| text.to_owned())
}

/// A rule's path with nginx' own marks (`=`, `~`), a prefix without.
fn path(text: &str) -> Option<(&'static str, String)> {
    let (modifier, path) = match text.trim() {
        t if t.starts_with("~*") => ("~*", t.get(2..)?),
        t if t.starts_with('~') => ("~", t.get(1..)?),
        t if t.starts_with('=') => ("=", t.get(1..)?),
        t => ("", t),
    };
    let path = path.trim();
    let fit = !path.is_empty()
        && !path.contains(['\n', '\r'])
        && (modifier.starts_with('~') || path.starts_with('/'));
    fit.then(|| (modifier, path.to_owned()))
}

/// A name for the cookie that cannot end the line it stands on.
fn cookie_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !br#"()<>@,;:\"/[]?={}$"#.contains(&b))
}
