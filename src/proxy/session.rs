//! An exchange's session: found before a peer is chosen, told to the client, learned from the answer.

use std::hash::{Hash as _, Hasher as _};
use std::time::Duration;

use super::exchange::{Exchange, unix_secs};
use crate::diag::Severity;
use crate::http::{Event, FieldIx, OutHead, Request};
use crate::plan::{PeerId, Secure, Sticky, StickyLearn, Template, Upstream, UpstreamId};
use crate::proxy::report::Action;
use crate::rt::clock;
use crate::sticky::{self, Answer, Asked, Key, Learned, Sid, Table, Ticket};
use crate::store::{self, Kind, Store, Write};
use crate::vars;
use crate::wire::{KnownField, Method};

/// When `sticky learn` learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// The head of the answer that goes to the client is there.
    Head,
    /// The exchange with the peer is over.
    End,
}

impl Exchange<'_> {
    /// Reads from the request which peer its session is with.
    pub(super) fn find_session(&mut self) {
        let (Some(id), Some(upstream)) = (self.upstream, self.upstream()) else { return };
        if let Some(pins) = &upstream.pins
            && !pins.bypass.is_empty()
            && self.bypasses(&pins.bypass)
        {
            self.ticket = Ticket::BYPASSED;
            self.req.note(|| Event::Session { upstream: id, ticket: Ticket::BYPASSED });
            return;
        }
        self.ticket = match &upstream.sticky {
            None => return,
            Some(Sticky::Route(keys)) => {
                let mut value = Vec::new();
                sticky::first(keys, self.req, &mut value);
                sticky::named(upstream, &value)
            }
            Some(Sticky::Learn(_)) => self.find_learned(id, upstream),
            Some(Sticky::Tengine(_) | Sticky::Cookie(_) | Sticky::Ng(_)) => {
                let lines = self.req.head.iter().filter(|f| f.2 == KnownField::Cookie).map(|f| f.1);
                sticky::read(upstream, lines, unix_secs())
            }
        };
        self.req.note(|| Event::Session { upstream: id, ticket: self.ticket });
        self.hidden = sticky::hides(self.proxy, id, upstream);
    }

    /// `sticky_bypass`: one of the texts is neither empty nor `0`.
    fn bypasses(&self, texts: &[Template]) -> bool {
        let mut value = Vec::new();
        texts.iter().any(|text| vars::truthy(text, self.req, &mut value))
    }

    fn find_learned(&mut self, id: UpstreamId, upstream: &Upstream) -> Ticket {
        let (Some(Sticky::Learn(learn)), Some(table)) = (&upstream.sticky, self.mine.table(id)) else {
            return Ticket::OFF;
        };
        let found = sticky::look_up(learn, table, self.req, clock::unix_millis());
        self.session = found.map(|(key, _)| key);
        let sid = found.and_then(|(_, sid)| sid).map(|sid| sid.text());
        let text = sid.as_ref().and_then(|(bytes, len)| bytes.get(..*len));
        sticky::named(upstream, text.unwrap_or_default())
    }

    /// Asks the machines' common store for a session that is not in memory, or whose peer cannot be used: another
    /// machine may know better.
    pub(super) async fn ask_store(&mut self, store: &Store) {
        let (Some(id), Some(upstream), Some(key)) = (self.upstream, self.upstream(), self.session) else {
            return;
        };
        let own = |pin: PeerId| self.of?.shared.peer(pin, unix_secs());
        if self.ticket.pin().and_then(own).is_some_and(|peer| peer.verdict.admits(true)) {
            return;
        }
        let said = store.look_up(key).await;
        self.new_to_all = said == store::Asked::Unknown;
        let (store::Asked::Known(sid), Some(Sticky::Learn(learn)), Some(table)) =
            (said, &upstream.sticky, self.mine.table(id))
        else {
            return;
        };
        let now = clock::unix_millis();
        let ours = table.look_up(key, now, learn.timeout);
        if ours != Some(sid) && table.adopt(key, ours, sid, now, learn.timeout) {
            // The store was told of it by who learned it.
            table.tell(key, now, 0);
        }
        let (bytes, len) = sid.text();
        self.ticket = sticky::named(upstream, bytes.get(..len).unwrap_or_default());
        self.req.note(|| Event::Session { upstream: id, ticket: self.ticket });
    }

    fn tell_store(&self, store: &Store, of: (&StickyLearn, &Table), key: Key, learned: Learned) {
        let (learn, table) = of;
        let now = clock::unix_millis();
        // An eighth of its life may pass before the store hears that it goes on.
        let every = u64::try_from(learn.timeout.as_millis() / 8).unwrap_or(u64::MAX);
        let kind = match learned {
            Learned::Unknown => return,
            Learned::Known => Kind::Touch,
            Learned::Moved => Kind::Put,
            Learned::Created | Learned::Evicted if self.new_to_all && self.session == Some(key) => Kind::New,
            Learned::Created | Learned::Evicted => Kind::Put,
        };
        let due = table.tell(key, now, if kind == Kind::Touch { every } else { 0 });
        if let Some(sid) = table.look_up(key, now, learn.timeout).filter(|_| due || kind != Kind::Touch) {
            store.note(Write { key, sid, kind });
        }
    }

    /// `sticky learn`: notes that the session is with `peer`, which has answered.
    pub(super) fn learn(&self, peer: Option<PeerId>, moment: Moment) {
        let (Some(id), Some(upstream), Some(peer)) = (self.upstream, self.upstream(), peer) else { return };
        let Some(Sticky::Learn(learn)) = &upstream.sticky else { return };
        let Some(table) = self
            .mine
            .table(id)
            .filter(|_| learn.header == (moment == Moment::Head) && !self.ticket.bypassed())
        else {
            return;
        };
        let now = clock::unix_millis();
        if self.mine.store(id).is_some() && self.went_on((upstream, learn, table), peer, now) {
            return;
        }
        let (learned, key) = sticky::learn((upstream, learn, table), peer, self.session, self.req, now);
        if let (Some(store), Some(key)) = (self.mine.store(id), key) {
            self.tell_store(store, (learn, table), key, learned);
        }
        if learned == Learned::Evicted {
            let zone = &learn.zone;
            self.log(
                Severity::Warn,
                Action::ReadingBody,
                format_args!(
                    "could not allocate node in sticky session zone \"{zone}\", \
                     expiring least recently used session"
                ),
            );
        }
    }

    /// Where machines share their sessions: this request was served where its session was when it came, and another
    /// request has moved the session since, here or elsewhere. Who is late does not take it back.
    fn went_on(&self, of: (&Upstream, &StickyLearn, &Table), peer: PeerId, now: u64) -> bool {
        let (upstream, learn, table) = of;
        let own = upstream.sids.get(peer.ix()).and_then(|sid| Sid::new(sid));
        let (Some(key), Some(own)) = (self.session, own) else { return false };
        let moved = |sid: Sid| sid != own;
        if self.ticket.pin() != Some(peer) || !table.look_up(key, now, learn.timeout).is_some_and(moved) {
            return false;
        }
        let mut name = Vec::new();
        !sticky::first(&learn.create, self.req, &mut name) || Key::of(&name) == key
    }

    /// Tells one session from another, as well as can be told: by its name where it has one, else by the client's address
    /// and browser.
    pub(super) fn who(&self) -> u64 {
        if let Some(key) = self.session {
            return key.hash();
        }
        let mut hasher = std::hash::DefaultHasher::new();
        self.req.conn.client.map(|a| a.ip()).hash(&mut hasher);
        self.req.head.get(KnownField::UserAgent).hash(&mut hasher);
        hasher.finish()
    }

    /// nginx's cookie, and that of nginx-sticky-module-ng, is there from the moment its peer is chosen, whatever becomes of the request then; the next peer's
    /// takes its place.
    pub(super) fn announce(&mut self, peer: Option<PeerId>) {
        let (Some(upstream), Some(peer)) = (self.upstream(), peer) else { return };
        match upstream.sticky {
            Some(Sticky::Cookie(_)) => {}
            Some(Sticky::Ng(_)) if !self.hides_ng() => {}
            _ => return,
        }
        if self.waits() {
            return;
        }
        let mut session = self.answer(upstream, peer, 0);
        self.req.private = session.is_private();
        let mut out = std::mem::take(&mut self.req.out);
        out.hide_opt(self.announced.take());
        self.announced = issue(&mut session, self.req, &mut out);
        self.req.out = out;
    }

    /// `sticky_parallel`: where earlier requests of this connection, which had no session either, went just now.
    pub(super) fn first_peer(&self) -> Option<PeerId> {
        let (id, first) = (self.upstream?, self.req.conn.first.as_ref()?);
        let window = self.window()?;
        first.get(id, clock::unix_millis(), window)
    }

    /// Notes it for the requests that come next.
    pub(super) fn note_first(&self, peer: Option<PeerId>) {
        let (Some(id), Some(peer), Some(first)) = (self.upstream, peer, &self.req.conn.first) else { return };
        if self.ticket.pin().is_none() && self.window().is_some() {
            first.note(id, peer, clock::unix_millis());
        }
    }

    /// For how long; `None`: not at all. A trusted proxy's connection is many clients', a unix socket's is a proxy's.
    fn window(&self) -> Option<Duration> {
        let upstream = self.upstream().filter(|u| u.sticky.is_some())?;
        let window = upstream.pins.as_ref()?.parallel?;
        let one_client = self.req.conn.client.is_some() && !self.req.is_by_proxy();
        (one_client && !self.ticket.bypassed()).then_some(window)
    }

    /// `sticky_hide_cookie`: nginx-sticky-module-ng's cookie is not set in this location.
    pub(super) fn hides_ng(&self) -> bool {
        self.proxy.sticky_hide_cookie
            && matches!(self.upstream().map(|u| &u.sticky), Some(Some(Sticky::Ng(_))))
    }

    /// `send=due`: the cookie goes with a backend's answer only.
    pub(super) fn waits(&self) -> bool {
        self.upstream().and_then(|u| u.pins.as_deref()).is_some_and(|p| p.due)
    }

    /// What the answer of a peer must carry.
    pub(super) fn answer<'u>(&self, upstream: &'u Upstream, peer: PeerId, status: u16) -> Answer<'u> {
        Answer::to(upstream, &self.ticket, peer, (status, self.hidden, unix_secs()), self.asked(upstream))
    }

    /// How the client asked, if anybody wants to know.
    pub(super) fn asked(&self, upstream: &Upstream) -> Asked {
        let Some(pins) = &upstream.pins else { return Asked::default() };
        Asked {
            post: self.req.method() == Method::Post,
            tls: pins.secure == Secure::Auto && self.req.is_client_tls(),
        }
    }

    /// For `$sticky_status` and `$sticky_peer`.
    pub(super) fn note_session(&mut self, peer: Option<PeerId>) {
        let Some(upstream) = self.upstream().filter(|u| u.sticky.is_some()) else { return };
        let name = peer.and_then(|p| upstream.peers.get(p.ix())).map(|p| p.name.clone());
        self.req.sticky_status = Some(self.ticket.status(peer, self.own).as_str());
        self.req.sticky_peer = name;
    }
}

/// Puts the session's `Set-Cookie` into the answer, if there is one.
pub(super) fn issue(session: &mut Answer<'_>, req: &Request, out: &mut OutHead) -> Option<FieldIx> {
    let mut value = Vec::with_capacity(96);
    let any = session.issue(|template, to| vars::eval(template, req, to), &mut value);
    any.then(|| out.push(b"Set-Cookie", &value))
}
