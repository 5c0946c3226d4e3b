//! One request's exchange: peers are asked in turn until one answers, and its answer is passed on.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ask::Ended;
use super::destination::{self, Choice, Destination, Turn};
use super::next::{Fault, Situation, is_non_idempotent};
use super::report::{self, Action};
use super::request::Outgoing;
use super::secure::Secure;
use super::session::{Moment, issue};
use super::thread::{LocPlan, Of, ProxyThread};
use crate::balance::{self, Outcome as Ending};
use crate::diag::Severity;
use crate::http::{Attempt, AttemptAddr, Event, FieldIx, Request, ThreadState};
use crate::plan::{Content, LocId, PeerAddr, PeerId, Plan, Proxy, Upstream, UpstreamId};
use crate::rt::{Rng, clock};
use crate::sticky::{self, Own, Place, Ticket};
use crate::vars;
use crate::wire::{ClientConn, ServerConn};

/// How an exchange ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer went out, or its connection broke: `Request::completed` tells. Nothing is left to be done.
    Done,
    /// Nothing was sent: an error page of this status is due.
    Error(u16),
    /// `X-Accel-Redirect`: this URI, or `@name`, answers.
    Redirect(Vec<u8>),
    /// Nothing was sent and nothing can be: the client is gone (499) or its body did not come (400, 408). The
    /// connection is closed, and this status logged.
    Gone(u16),
}

/// Everything an exchange works with.
pub(super) struct Exchange<'a> {
    pub(super) req: &'a mut Request,
    pub(super) conn: &'a mut ServerConn,
    pub(super) thread: &'a ThreadState,
    pub(super) mine: &'a Rc<ProxyThread>,
    pub(super) plan: &'a Plan,
    pub(super) proxy: &'a Proxy,
    pub(super) made: &'a LocPlan,
    pub(super) out: &'a mut Outgoing,
    pub(super) upstream: Option<UpstreamId>,
    /// TLS towards the peers.
    pub(super) secure: Option<Secure<'a>>,
    /// Its peers and their state, the same for all attempts.
    pub(super) of: Option<Of<'a>>,
    pub(super) ticket: Ticket,
    /// The verdict on the session's own peer.
    pub(super) own: Own,
    pub(super) hidden: bool,
    /// `sticky learn`: the name of the session that the request belongs to.
    pub(super) session: Option<sticky::Key>,
    /// No machine knows that session.
    pub(super) new_to_all: bool,
    /// The `Set-Cookie` of the peer at hand, where it does not wait for the answer.
    pub(super) announced: Option<FieldIx>,
    pub(super) started: Instant,
    pub(super) attempt_started: Instant,
}

/// Passes the request to a peer of its location's `proxy_pass`, and the answer to the client.
pub async fn pass(
    req: &mut Request,
    conn: &mut ServerConn,
    thread: &ThreadState,
    mine: &Rc<ProxyThread>,
) -> Outcome {
    let plan = Arc::clone(&req.plan);
    let (Some(Content::Proxy(proxy)), Some(made)) =
        (plan.locations.get(req.loc.ix()).map(|l| &l.content), mine.location(req.loc))
    else {
        return Outcome::Error(500);
    };
    let (destination, said) = match destination::find(proxy, &plan, req) {
        Ok(found) => found,
        Err(none) => {
            thread.log_error(req, Severity::Error, format_args!("{}", none.text));
            return Outcome::Error(none.status);
        }
    };
    req.note(|| traced_pass(req.loc, &destination));
    let mut out = mine.lend();
    out.https = said.https;
    let outcome = match out.read_body(req, conn, thread, proxy).await {
        Ok(()) => {
            let upstream = match destination {
                Destination::Upstream(id) => Some(id),
                Destination::Addresses(_) | Destination::Name(..) => None,
            };
            let live = upstream.and_then(|id| mine.live(id));
            let of = upstream.and_then(|id| mine.of(&plan, id, live.as_ref()));
            let now = clock::instant();
            let mut exchange = Exchange {
                req,
                conn,
                thread,
                mine,
                plan: &plan,
                proxy,
                made,
                out: &mut out,
                upstream,
                secure: None,
                of,
                ticket: Ticket::OFF,
                own: Own::Open,
                hidden: false,
                session: None,
                new_to_all: false,
                announced: None,
                started: now,
                attempt_started: now,
            };
            exchange.run(destination, &said).await
        }
        Err(outcome) => outcome,
    };
    mine.give_back(out);
    outcome
}

impl<'a> Exchange<'a> {
    pub(super) fn upstream(&self) -> Option<&'a Upstream> {
        self.of.map(|of| of.upstream)
    }

    async fn run(&mut self, mut destination: Destination, said: &destination::Said) -> Outcome {
        if let Some(tls) = self.proxy.tls.as_deref().filter(|_| said.https) {
            let host = self.upstream().map_or(&*said.host, |u| u.name.as_bytes());
            let secure = Secure::new(tls, host, self.req);
            self.req.note(|| Event::Tls { loc: self.req.loc, name: secure.who.name().into() });
            self.secure = Some(secure);
        }
        self.find_session();
        let mine = Rc::clone(self.mine);
        if let Some(store) = self.upstream.and_then(|id| mine.store(id)) {
            self.ask_store(store).await;
        }
        let hiding = sticky::hidden(self.proxy, &self.plan.upstreams, self.upstream);
        self.out.write(self.req, self.proxy, &self.made.head, &said.uri, &hiding);
        if !self.req.attempts.is_empty() {
            self.req.attempts.push(Attempt::default());
        }
        if self.ticket.refused() {
            return self.refuse();
        }
        if let Destination::Name(name, port) = &destination {
            match self.resolve(name, *port).await {
                Ok(addresses) => destination = Destination::Addresses(addresses),
                Err(outcome) => return outcome,
            }
        }
        let mut choice = match self.of {
            Some(of) => {
                let mut key = Vec::new();
                if let Some(template) = of.shared.key() {
                    vars::eval(template, self.req, &mut key);
                }
                let pin = self.ticket.pin();
                let wish = if pin.is_none() { self.first_peer() } else { None };
                let request = balance::Request {
                    pin: pin.or(wish),
                    soft: pin.is_none(),
                    backup_pin: self.ticket.backup_pin(),
                    client: self.req.conn.client.map(|a| a.ip()),
                    key: &key,
                    strict: self.proxy.sticky_no_fallback,
                    seed: Rng::thread(Rng::next_u64),
                    max_tries: self.proxy.next_tries,
                };
                Choice::balanced((of.shared, of.local), &request)
            }
            None => Choice::listed(destination.addresses().len(), self.proxy.next_tries),
        };
        loop {
            match self.one_peer(&mut choice, &destination).await {
                Some(outcome) => return outcome,
                None => continue,
            }
        }
    }

    /// One peer's turn; `None`: another one is to be asked.
    async fn one_peer(&mut self, choice: &mut Choice<'_>, destination: &Destination) -> Option<Outcome> {
        let next = choice.next();
        if self.ticket.pin().is_some() {
            self.own = choice.own();
        }
        let turn = match next {
            Ok(turn) => turn,
            Err(none) => {
                self.req.note(|| Event::NoPeer(none));
                return Some(self.no_live());
            }
        };
        let peer = turn.peer();
        let found = match turn {
            Turn::Nth(n) => destination.addresses().get(n).map(|(addr, name)| (addr, name)),
            Turn::Peer(id) => self.upstream().and_then(|u| u.peers.get(id.ix())).map(|p| (&p.addr, &p.name)),
        };
        let Some((addr, name)) = found else { return Some(Outcome::Error(500)) };
        self.req.note(|| Event::Peer { peer, name: name.clone() });
        if let Some(slot) = choice.draining() {
            slot.seen(self.who(), clock::unix_millis());
        }
        self.announce(peer);
        self.note_first(peer);
        let mut fresh = false;
        let (fault, link) = loop {
            let kept = match (self.upstream, self.of, peer) {
                (Some(id), Some(of), Some(peer)) if !fresh => {
                    let tls = self.secure.as_ref().map(|s| &s.who);
                    self.mine.take(id, of, peer, self.req.loc, tls)
                }
                _ => None,
            };
            let was_kept = kept.is_some();
            self.begin_attempt(addr, name, peer);
            let mut link = None;
            match self.ask(addr, name, kept, &mut link).await {
                Ok(()) => {
                    let link = link?;
                    if let Some(took) = self.req.attempts.last().and_then(|a| a.header_ms) {
                        choice.head(took);
                    }
                    match self.judge(choice) {
                        Some(fault) => break (fault, Some(link)),
                        None => return Some(self.answered(link, choice, peer).await),
                    }
                }
                Err(Ended::Fault(fault)) => {
                    let untouched = link.as_deref().is_none_or(|l: &ClientConn| l.bytes_received() == 0);
                    if was_kept && fault == Fault::Error && untouched && self.may_retry(fault, 1) {
                        // A kept connection that its peer closed meanwhile says nothing about the peer.
                        self.end_attempt(link.as_deref(), fault.status());
                        fresh = true;
                        continue;
                    }
                    break (fault, link);
                }
                Err(Ended::Gone(status)) => {
                    self.end_attempt(link.as_deref(), 0);
                    self.learn(peer, Moment::End);
                    choice.finish(Ending::Done, self.req.attempts.last());
                    return Some(Outcome::Gone(status));
                }
                Err(Ended::Status(status)) => {
                    self.end_attempt(link.as_deref(), 0);
                    choice.finish(Ending::Done, self.req.attempts.last());
                    return Some(Outcome::Error(status));
                }
            }
        };
        self.end_attempt(link.as_deref(), fault.status());
        let ending = if fault.blames_peer() { Ending::Failed } else { Ending::Next };
        if let Some(link) = link.filter(|_| ending == Ending::Next) {
            // Nothing is wrong with it, if no body follows.
            let _ = self.keep(link, peer);
        }
        if choice.finish(ending, self.req.attempts.last()) {
            let action = self.out.action;
            self.log(Severity::Warn, action, format_args!("upstream server temporarily disabled"));
        }
        if fault == Fault::Timeout {
            let action = self.out.action;
            self.log(Severity::Error, action, format_args!("upstream timed out (110: Connection timed out)"));
        }
        if self.may_retry(fault, choice.tries()) {
            return None;
        }
        self.note_session(peer);
        Some(Outcome::Error(fault.status()))
    }

    fn may_retry(&self, fault: Fault, tries: u32) -> bool {
        let situation = Situation {
            rules: self.proxy.next_upstream,
            tries,
            non_idempotent: is_non_idempotent(self.req.method_text()),
            sent: self.out.sent,
            streaming: self.out.streaming(),
            elapsed: clock::instant().saturating_duration_since(self.started),
            timeout: self.proxy.next_timeout,
        };
        situation.may_retry(fault)
    }

    /// Whether the answer is one that another peer is asked for.
    fn judge(&self, choice: &Choice<'_>) -> Option<Fault> {
        let fault = Fault::Status(self.req.upstream_head.status);
        self.may_retry(fault, choice.tries().saturating_sub(1)).then_some(fault)
    }

    fn begin_attempt(&mut self, addr: &PeerAddr, name: &str, peer: Option<PeerId>) {
        let unix = matches!(addr, PeerAddr::Unix(_));
        self.out.set_url(name, unix);
        self.attempt_started = clock::instant();
        self.out.begin();
        let addr = match (self.upstream, peer) {
            (Some(upstream), Some(peer)) if self.of.is_some_and(|of| !of.changes()) => {
                AttemptAddr::Peer(upstream, peer)
            }
            _ => AttemptAddr::Text(name.into()),
        };
        self.req.attempts.push(Attempt { addr, ..Attempt::default() });
    }

    pub(super) fn attempt(&mut self) -> Option<&mut Attempt> {
        self.req.attempts.last_mut()
    }

    pub(super) fn since_attempt(&self) -> u64 {
        millis(clock::instant().saturating_duration_since(self.attempt_started))
    }

    /// Notes what became of the attempt; `status` 0: it has none.
    pub(super) fn end_attempt(&mut self, link: Option<&ClientConn>, status: u16) {
        let took = self.since_attempt();
        let (received, sent) = link.map_or((0, 0), |l| (l.bytes_received(), l.bytes_sent()));
        if let Some(attempt) = self.attempt() {
            attempt.response_ms = Some(took);
            attempt.bytes_received = received;
            attempt.bytes_sent = sent;
            attempt.status = status;
        }
    }

    fn no_live(&mut self) -> Outcome {
        let (name, addr) = match (self.upstream(), self.upstream) {
            (Some(upstream), Some(id)) => (&*upstream.name, AttemptAddr::Upstream(id)),
            _ => ("", AttemptAddr::Text(Box::default())),
        };
        self.out.set_url(name, false);
        let none = Attempt { addr, status: 502, response_ms: Some(0), ..Attempt::default() };
        self.req.attempts.push(none);
        self.log(Severity::Error, Action::Connecting, format_args!("no live upstreams"));
        self.note_session(None);
        Outcome::Error(502)
    }

    /// `fallback=off` and a session that means nobody: the answer takes the cookie back, so that no client stays locked
    /// out.
    fn refuse(&mut self) -> Outcome {
        let mut value = Vec::new();
        if self.upstream().is_some_and(|u| sticky::expire(u, self.asked(u), &mut value)) {
            self.req.out.push(b"Set-Cookie", &value);
        }
        self.no_live()
    }

    pub(super) fn log(&self, level: Severity, action: Action, text: std::fmt::Arguments<'_>) {
        report::log(self.thread, self.req, level, &self.out.url, action, text);
    }

    /// Turns the peer's head into the client's.
    pub(super) fn fill_head(&mut self, peer: Option<PeerId>) {
        let mut out = std::mem::take(&mut self.req.out);
        let (req, head) = (&*self.req, &self.req.upstream_head);
        let (thread, url) = (self.thread, &self.out.url);
        let mut session = match (self.upstream(), peer) {
            (Some(upstream), Some(peer)) if upstream.sticky.is_some() => {
                Some(self.answer(upstream, peer, head.status))
            }
            _ => None,
        };
        if let Some(session) = session.as_mut().filter(|s| s.place() == Place::Before)
            && self.waits()
            && !self.hides_ng()
        {
            self.announced = issue(session, req, &mut out);
        }
        self.made.answer.fill(
            head,
            self.proxy,
            self.plan,
            req,
            &mut out,
            |value, to| session.as_mut().map_or(sticky::Change::Keep, |s| s.relay(value, to)),
            |text| report::log(thread, req, Severity::Warn, url, Action::ReadingHead, text),
        );
        let mut private = false;
        if let Some(session) = &mut session {
            if session.place() == Place::After {
                issue(session, req, &mut out);
            }
            if session.preserved() {
                out.hide_opt(self.announced.take());
            }
            private = session.is_private() && !self.hides_ng();
        }
        self.req.out = out;
        self.req.private = private;
        self.req.disable_not_modified = true;
        self.note_session(peer);
    }
}

fn traced_pass(loc: LocId, destination: &Destination) -> Event {
    let (upstream, address) = match destination {
        Destination::Upstream(id) => (Some(*id), Box::default()),
        Destination::Name(name, port) => (None, format!("{}:{port}", String::from_utf8_lossy(name)).into()),
        Destination::Addresses(list) => (None, list.first().map_or(Box::default(), |(_, name)| name.clone())),
    };
    Event::Pass { loc, upstream, address }
}

pub(super) fn unix_secs() -> i64 {
    i64::try_from(clock::unix_secs()).unwrap_or(i64::MAX)
}

pub(super) fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
