//! Services: the servers of an upstream.

use std::net::{IpAddr, SocketAddr};

use super::super::ids;
use super::super::json::{Node, Value};
use super::super::model::{Line, Peer, Sticky, StickyKind, Upstream};
use super::super::report::{Class, Fate, Sessions};
use super::annotations::Settings;
use super::{Cx, at, said};

/// The service of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Service {
    pub(super) namespace: String,
    pub(super) name: String,
    /// A number or a name.
    pub(super) port: String,
}

impl Service {
    /// The service that a backend names, and what becomes of its fields.
    pub(super) fn read(cx: &mut Cx<'_>, namespace: &str, backend: &Node) -> Option<Self> {
        let name = said(backend, &["service", "name"]).or(said(backend, &["serviceName"]));
        let port = said(backend, &["service", "port", "number"])
            .or(said(backend, &["service", "port", "name"]))
            .or(said(backend, &["servicePort"]));
        let (Some(name), Some(port)) = (name, port) else {
            cx.ledger.give_up(backend, "a service with a port is expected: nothing else can be passed to");
            return None;
        };
        let fit = |t: &str| {
            !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        };
        if !fit(name) || !fit(port) || !fit(namespace) {
            cx.ledger.give_up(backend, "this cannot be the name of a service");
            return None;
        }
        cx.ledger.all(backend, Class::Exact, "");
        Some(Self { namespace: namespace.to_owned(), name: name.to_owned(), port: port.to_owned() })
    }

    /// The controller's name for it.
    fn key(&self) -> String {
        format!("{}-{}-{}", self.namespace, self.name, self.port)
    }

    fn is(&self, object: &Node, name: &[&str]) -> bool {
        said(object, name) == Some(&self.name)
            && said(object, &["metadata", "namespace"]).unwrap_or("default") == self.namespace
    }
}

/// The upstream of a service with the settings of an Ingress; `None`: it has no server.
pub(super) fn upstream<'n>(
    cx: &mut Cx<'n>,
    service: &Service,
    settings: &Settings<'n>,
    cite: &'n Node,
) -> Option<String> {
    let key = format!("{service:?} {:?} {:?}", settings.method.as_ref().map(|m| &m.words), settings.cookie);
    if let Some(made) = cx.made.get(&key) {
        return made.clone();
    }
    let mut peers = peers(cx, service, settings, cite);
    let name = (!peers.is_empty()).then(|| cx.names.make(&service.key()));
    if let Some(name) = &name {
        let sticky = sticky(cx, service, settings, &mut peers, name);
        cx.model.upstreams.push(Upstream {
            name: name.clone(),
            cite: Some(cite.place),
            method: settings.method.clone(),
            sticky,
            peers,
            lines: vec![
                Line::new(None, ["keepalive", "320"]),
                Line::new(None, ["keepalive_requests", "10000"]),
            ],
        });
    }
    cx.made.insert(key, name.clone());
    name
}

fn sticky(
    cx: &mut Cx<'_>,
    service: &Service,
    settings: &Settings<'_>,
    peers: &mut [Peer],
    name: &str,
) -> Option<Sticky> {
    let cookie = settings.cookie.as_ref()?;
    let cite = settings.affinity.map(|n| n.place);
    let numeric = peers.iter().all(|p| p.address.parse::<SocketAddr>().is_ok());
    let persistent = settings.persistent && numeric;
    let (fate, why) = if persistent {
        (Fate::KeptByAlias, "each pod has the controller's name for it")
    } else {
        (
            Fate::Lost,
            "the controller's names are not known without its memory: each session is balanced anew once",
        )
    };
    let why = format!("cookie \"{}\": {why}", cookie.name);
    cx.model.sessions.push(Sessions { upstream: name.to_owned(), fate, why });
    if !persistent {
        return Some(Sticky { cite, kind: StickyKind::Cookie(cookie.clone()) });
    }
    for peer in peers.iter_mut() {
        peer.id = Some(ids::ingress_persistent(&service.key(), &peer.address));
    }
    let mut session = super::super::model::Session::insert(cookie.name.clone());
    session.path.clone_from(&cookie.path);
    session.domain.clone_from(&cookie.domain);
    session.maxage = cookie.expires.as_deref().and_then(|e| e.trim_end_matches('s').parse().ok());
    session.fallback = settings.change;
    if cx.can.session_flags {
        (session.secure, session.httponly) = (cookie.secure, cookie.httponly);
        session.samesite.clone_from(&cookie.samesite);
    } else if let Some(n) = settings.affinity {
        cx.ledger.dropped(n, "persistent: such a cookie has no HttpOnly, Secure and SameSite here");
    }
    session.always = cx.can.session_always;
    Some(Sticky { cite, kind: StickyKind::Session(session) })
}

/// The pods of a service where the input tells them, otherwise its name in the cluster.
fn peers<'n>(cx: &mut Cx<'n>, service: &Service, settings: &Settings<'n>, cite: &'n Node) -> Vec<Peer> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    let object = cx.cluster.services.iter().copied().find(|s| service.is(s, &["metadata", "name"]));
    let (number, port_name) = port(object, &service.port);
    let takes = |port: &Node| {
        let own = said(port, &["port"]);
        match (&port_name, said(port, &["name"])) {
            (Some(wanted), Some(name)) => wanted == name,
            (_, _) => own.is_some(),
        }
    };
    if !settings.service_upstream {
        for object in cx.cluster.endpoints.iter().filter(|e| service.is(e, &["metadata", "name"])) {
            for subset in object.get("subsets").map_or(&[][..], Node::items) {
                let ports: Vec<&Node> = subset.get("ports").map_or(&[][..], Node::items).iter().collect();
                let Some(port) =
                    ports.iter().find(|p| takes(p)).and_then(|p| said(p, &["port"])?.parse().ok())
                else {
                    continue;
                };
                for address in subset.get("addresses").map_or(&[][..], Node::items) {
                    let ip = said(address, &["ip"]).and_then(|ip| ip.parse::<IpAddr>().ok());
                    addresses.extend(ip.map(|ip| SocketAddr::new(ip, port)));
                }
            }
        }
        let label = ["metadata", "labels", "kubernetes.io/service-name"];
        for object in cx.cluster.slices.iter().filter(|e| service.is(e, &label)) {
            let ports = object.get("ports").map_or(&[][..], Node::items);
            let Some(port) = ports.iter().find(|p| takes(p)).and_then(|p| said(p, &["port"])?.parse().ok())
            else {
                continue;
            };
            for endpoint in object.get("endpoints").map_or(&[][..], Node::items) {
                if said(endpoint, &["conditions", "ready"]) == Some("false") {
                    continue;
                }
                for address in endpoint.get("addresses").map_or(&[][..], Node::items) {
                    if let Value::Text(ip) = &address.value
                        && let Ok(ip) = ip.parse::<IpAddr>()
                    {
                        addresses.push(SocketAddr::new(ip, port));
                    }
                }
            }
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    let peer = |address: String| Peer { address, cite: Some(cite.place), weight: 1, ..Peer::default() };
    if !addresses.is_empty() {
        return addresses.into_iter().map(|a| peer(a.to_string())).collect();
    }
    let external = object.and_then(|o| said(o, &["spec", "externalName"]));
    let host = match external {
        Some(name) => name.trim_end_matches('.').to_owned(),
        None => format!("{}.{}.svc.cluster.local", service.name, service.namespace),
    };
    let fit = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    let Some(number) = number.filter(|_| fit) else {
        cx.ledger.approximated(cite, "");
        mark(cx, cite, Class::Dropped, "the port's number is not in the input: give the Service too");
        return Vec::new();
    };
    if let Some(n) = object.and_then(|o| at(o, &["spec", "externalName"])) {
        cx.ledger.exact(n, "");
    }
    if settings.service_upstream || external.is_some() {
        mark(cx, cite, Class::Exact, "");
    } else if settings.cookie.is_some() {
        let note = "one name for all pods, behind which the cluster balances: give the Endpoints too for sessions to be kept";
        mark(cx, cite, Class::Approximated, note);
    } else {
        mark(cx, cite, Class::Approximated, "the service's name: the cluster balances between the pods");
    }
    vec![peer(format!("{host}:{number}"))]
}

fn mark(cx: &mut Cx<'_>, node: &Node, class: Class, note: &str) {
    cx.ledger.mark(node, class, note);
}

/// The number of a service's port, and its name.
fn port(service: Option<&Node>, wanted: &str) -> (Option<u16>, Option<String>) {
    let number = wanted.parse::<u16>().ok().filter(|p| *p > 0);
    let ports = service.and_then(|s| at(s, &["spec", "ports"])).map_or(&[][..], Node::items);
    let found =
        ports.iter().find(|p| said(p, &["name"]) == Some(wanted) || said(p, &["port"]) == Some(wanted));
    match found {
        Some(port) => {
            let own = said(port, &["port"]).and_then(|p| p.parse().ok());
            (own.or(number), said(port, &["name"]).map(str::to_owned))
        }
        None => (number, None),
    }
}
