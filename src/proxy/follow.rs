//! Who looks up the names of `server … resolve`, again and again: one task a line, on one thread of the worker.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::kept::{Kept, Known, Memory};
use super::live::{Found, Roll, Rolls, Set, Sets};
use super::thread::ProxyThread;
use crate::diag::Severity;
use crate::dns::{Code, Failure};
use crate::log::Logs;
use crate::plan::{Dynamic, DynamicServer, Method, Plan, Upstream};
use crate::rt::clock;

/// An upstream whose names are followed.
struct Followed {
    plan: Arc<Plan>,
    ix: usize,
    roll: RefCell<Roll>,
    kept: RefCell<Kept>,
    common: Rc<Common>,
}

struct Common {
    thread: Rc<ProxyThread>,
    logs: Arc<Logs>,
    memory: Memory,
    sets: watch::Sender<Sets>,
}

impl Rolls {
    /// Follows the names of all upstreams for as long as the thread runs. Each new set goes to `sets`.
    pub fn follow(
        self,
        plan: &Arc<Plan>,
        thread: &Rc<ProxyThread>,
        logs: &Arc<Logs>,
        memory: &Memory,
        sets: watch::Sender<Sets>,
    ) {
        let common = Common { thread: thread.clone(), logs: logs.clone(), memory: memory.clone(), sets };
        let common = Rc::new(common);
        for (ix, roll) in self.0.into_iter().enumerate() {
            let (Some(roll), Some(upstream)) = (roll, plan.upstreams.get(ix)) else { continue };
            let Some(dynamic) = upstream.dynamic.as_deref() else { continue };
            let kept = memory.read(ix);
            let valid = |s| kept.get(s).map_or(0, |k| k.valid);
            let lines: Vec<i64> = dynamic.servers.iter().map(valid).collect();
            let (plan, common) = (plan.clone(), common.clone());
            let followed = Followed { plan, ix, roll: RefCell::new(roll), kept: RefCell::new(kept), common };
            let followed = Rc::new(followed);
            for (line, valid) in lines.into_iter().enumerate() {
                tokio::task::spawn_local(followed.clone().line(line, valid));
            }
        }
    }
}

fn now() -> i64 {
    i64::try_from(clock::unix_secs()).unwrap_or(i64::MAX)
}

fn seconds(n: i64) -> Duration {
    Duration::from_secs(u64::try_from(n).unwrap_or(0))
}

impl Followed {
    fn upstream(&self) -> Option<(&Upstream, &Dynamic)> {
        let upstream = self.plan.upstreams.get(self.ix)?;
        Some((upstream, upstream.dynamic.as_deref()?))
    }

    /// Looks a line up whenever what is known of it does not hold any more.
    async fn line(self: Rc<Self>, line: usize, valid: i64) {
        let mut wait = seconds(valid - now());
        loop {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            let Some((upstream, dynamic)) = self.upstream() else { return };
            let Some(server) = dynamic.servers.get(line) else { return };
            wait = match self.look_up(upstream, dynamic, server).await {
                Ok(known) => {
                    let wait = seconds((known.valid - now() + 1).max(1));
                    self.learned(upstream, line, server, known);
                    wait
                }
                Err(()) => dynamic.timeout.max(Duration::from_secs(1)),
            };
        }
    }

    /// `Err`: nothing is known, what was known before stays.
    async fn look_up(
        &self,
        upstream: &Upstream,
        dynamic: &Dynamic,
        server: &DynamicServer,
    ) -> Result<Known, ()> {
        let (names, host) = (self.common.thread.names(), server.host.as_bytes());
        let (resolver, timeout) = (dynamic.resolver, dynamic.timeout);
        let Some(service) = &server.service else {
            let failed = match names.addresses(resolver, host, timeout).await {
                Ok(addresses) => {
                    let found = |ip| Found {
                        addr: std::net::SocketAddr::new(ip, server.port),
                        name: None,
                        weight: 1,
                        backup: false,
                    };
                    let found = addresses.list.into_iter().map(found).collect();
                    return Ok(Known { found, valid: addresses.valid });
                }
                Err(failed) => failed,
            };
            let text = format_args!("{} could not be resolved ({})", shown(&server.host), failed.code);
            self.common.logs.main(Severity::Error, text);
            return nothing(&failed);
        };
        let (answer, failed) = match names.service(resolver, service.as_bytes(), host, timeout).await {
            Ok(service) => (Ok((service.list, service.valid)), service.failed),
            Err(failed) => (Err(failed.clone()), failed.failed),
        };
        for (name, code) in &failed {
            let (name, host) = (String::from_utf8_lossy(name), shown(&server.host));
            let while_ = format_args!("while resolving service {service} of {host}");
            let text = format_args!("{name} could not be resolved ({code}) {while_}");
            self.common.logs.main(Severity::Error, text);
        }
        match answer {
            Ok((list, valid)) => {
                let first = list.iter().map(|t| t.priority).min().unwrap_or(0);
                let backups = allows_backup(&upstream.method) && !server.peer.backup;
                let found = list.into_iter().filter(|t| t.priority == first || backups).map(|t| Found {
                    addr: t.addr,
                    name: Some(String::from_utf8_lossy(&t.name).into()),
                    weight: u32::from(t.weight),
                    backup: t.priority != first,
                });
                Ok(Known { found: found.collect(), valid })
            }
            Err(failed) => {
                let (host, code) = (shown(&server.host), failed.code);
                let text = format_args!("service {service} of {host} could not be resolved ({code})");
                self.common.logs.main(Severity::Error, text);
                nothing(&failed)
            }
        }
    }

    fn learned(&self, upstream: &Upstream, line: usize, server: &DynamicServer, known: Known) {
        let (set, room) = self.roll.borrow_mut().apply(upstream, line, server, &known.found);
        if !room {
            let name = &upstream.name;
            let text = format_args!("cannot add new server to upstream \"{name}\", memory exhausted");
            self.common.logs.main(Severity::Error, text);
        }
        let mut kept = self.kept.borrow_mut();
        kept.put(server, known);
        self.common.memory.write(self.ix, &kept);
        if let Some(set) = set {
            self.publish(set);
        }
    }

    fn publish(&self, set: Arc<Set>) {
        self.common.sets.send_modify(|sets| {
            let mut list = sets.to_vec();
            if let Some(slot) = list.get_mut(self.ix) {
                *slot = Some(set);
            }
            *sets = list.into();
        });
        self.common.thread.adopt(&self.common.sets.borrow());
    }
}

/// A name that there is not has no peers; other failures change nothing.
fn nothing(failed: &Failure) -> Result<Known, ()> {
    if failed.code == Code::NO_NAME { Ok(Known { found: Vec::new(), valid: failed.valid }) } else { Err(()) }
}

/// nginx lowers the name in place, and drops its last dot.
fn shown(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Servers of a service with another priority than the best are backups, where the balancer has them.
fn allows_backup(method: &Method) -> bool {
    !matches!(method, Method::IpHash | Method::Hash(_) | Method::HashConsistent(_) | Method::Random { .. })
}
