//! The `http` block: its servers and locations, flat, so that nesting costs no stack.

use super::access::Formats;
use super::limit::LimitZone;
use super::listen::Listen;
use super::location::{Level, Location, limited};
use super::names::{self, ServerName};
use super::script::Script;
use super::srv::Srv;
use super::ssl::Ssl;
use super::tables::Table;
use super::{Cx, Place, Step, pins, upstream};
use crate::diag::Diags;
use crate::plan::LocMatch;
use crate::source::{Children, Dir};
use crate::sys;
use crate::values;

/// What an `http` block says.
#[derive(Debug, Default)]
pub struct Http {
    pub level: Level,
    pub srv: Srv,
    pub ssl: Ssl,
    pub formats: Formats,
    pub servers: Vec<Server>,
    /// Every server block and location, a parent before its children.
    pub locations: Vec<Location>,
    pub upstreams: Vec<upstream::Upstream>,
    /// `session_sticky_key` outside of upstreams.
    pub keys: Vec<pins::KeyFile>,
    /// `map` and its like, in the order of the file.
    pub tables: Vec<Table>,
    /// `limit_req_zone` and `limit_conn_zone`, in the order of the file.
    pub limit_zones: Vec<LimitZone>,
    /// The `}`: where nginx stands when it joins all this.
    pub close: Option<Place>,
}

/// One `server` block.
#[derive(Debug)]
pub struct Server {
    pub srv: Srv,
    pub ssl: Ssl,
    pub names: Vec<ServerName>,
    pub listens: Vec<Listen>,
    /// Index into [`Http::locations`]: the block itself.
    pub root: usize,
    /// The `{`.
    pub at: Place,
}

/// A block of a server that is being read.
struct Open<'c> {
    /// The location that it is.
    at: usize,
    /// The location that has its script: an `if`'s is the one around it.
    script: usize,
    /// The operation of an `if` that ends with the block.
    condition: Option<usize>,
    rest: Children<'c>,
}

impl Http {
    /// Reads the block.
    pub fn read(cx: &mut Cx<'_>, block: Dir<'_>) -> Self {
        let mut http = Self { close: Some(block.close_at()), ..Self::default() };
        for d in block.children() {
            if cx.refused(d) {
                continue;
            }
            match d.name() {
                "server" => http.server(cx, d),
                "upstream" => {
                    let mut diags = Diags::new();
                    let upstream = upstream::read(d, &mut diags);
                    cx.found.adopt(diags, Some(d.at()), Step::Read);
                    http.upstreams.push(upstream);
                }
                "session_sticky_key" => {
                    let mut diags = Diags::new();
                    http.keys.extend(pins::key(&mut upstream::Say { diags: &mut diags, dir: d }));
                    cx.found.adopt(diags, Some(d.at()), Step::Read);
                }
                // The memory for checks is as large as it has to be.
                "check_shm_size" if values::size(d.arg(0)).is_none() => {
                    cx.emerg(d, "\"check_shm_size\" directive invalid value");
                }
                "log_format" => {
                    let mut formats = std::mem::take(&mut cx.formats);
                    formats.read(cx, d);
                    cx.formats = formats;
                }
                name if LimitZone::knows(name) => {
                    http.limit_zones.extend(LimitZone::read(cx, d, &http.limit_zones));
                }
                name if Table::knows(name) => http.tables.extend(Table::read(cx, d)),
                name if Srv::knows(name) => http.srv.read(cx, d),
                name if Ssl::knows(name) => http.ssl.read(cx, d),
                _ => http.level.read(cx, d),
            }
        }
        http.formats = std::mem::take(&mut cx.formats);
        http
    }

    fn server(&mut self, cx: &mut Cx<'_>, block: Dir<'_>) {
        let at = block.at();
        let root = self.locations.len();
        let mut server = Server {
            srv: Srv::default(),
            ssl: Ssl::default(),
            names: Vec::new(),
            listens: Vec::new(),
            root,
            at,
        };
        let mut listening = false;
        self.locations.push(Location::server_itself(self.servers.len(), at));
        let mut open = vec![Open { at: root, script: root, condition: None, rest: block.children() }];
        while let Some(inner) = open.last_mut() {
            let (at, script) = (inner.at, inner.script);
            let Some(d) = inner.rest.next() else {
                let condition = inner.condition;
                open.pop();
                if let Some(location) = self.locations.get_mut(script)
                    && let Some(opened) = condition
                {
                    location.script.close(opened);
                }
                if let Some(outer) = open.last() {
                    cx.loc = self.locations.get(outer.at).map(Location::here).unwrap_or_default();
                }
                continue;
            };
            if cx.refused(d) {
                continue;
            }
            match d.name() {
                "listen" => {
                    listening = true;
                    server.listens.extend(Listen::read(cx, d));
                }
                "server_name" => names::read(cx, d, &mut server.names),
                "location" => {
                    let Some(parent) = self.locations.get(at) else { continue };
                    if let Some(location) = Location::open(cx, d, (at, parent)) {
                        cx.loc = location.here();
                        let at = self.locations.len();
                        open.push(Open { at, script: at, condition: None, rest: d.children() });
                        self.locations.push(location);
                    }
                }
                "if" => {
                    let new = self.locations.len();
                    let Some(parent) = self.locations.get_mut(at) else { continue };
                    let condition = parent.script.open(cx, d, new);
                    let location = Location::inside(LocMatch::If, d, (at, parent));
                    cx.loc = location.here();
                    open.push(Open { at: new, script: at, condition, rest: d.children() });
                    self.locations.push(location);
                }
                "limit_except" => {
                    let new = self.locations.len();
                    let methods = limited(cx, d);
                    let Some(parent) = self.locations.get_mut(at) else { continue };
                    parent.limit_except = Some((methods, new));
                    let location = Location::inside(LocMatch::LimitExcept, d, (at, parent));
                    cx.loc = location.here();
                    open.push(Open { at: new, script: new, condition: None, rest: d.children() });
                    self.locations.push(location);
                }
                name if Script::knows(name) => {
                    if let Some(location) = self.locations.get_mut(script) {
                        location.script.read(cx, d);
                    }
                }
                name if Srv::knows(name) => server.srv.read(cx, d),
                name if Ssl::knows(name) => server.ssl.read(cx, d),
                _ => {
                    if let Some(location) = self.locations.get_mut(at) {
                        location.read(cx, d);
                    }
                }
            }
        }
        cx.loc = super::cx::Here::default();
        if !listening {
            server.listens.push(Listen::default_of(sys::is_root(), block.close_at()));
        }
        self.servers.push(server);
    }
}
