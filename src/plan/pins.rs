//! What is ours in how a session's cookie is made, read and sent, in any dialect.

use std::collections::HashMap;
use std::time::Duration;

use super::{PeerId, PeerIndex, Template};
use crate::values::{Pin, PinKey, PinScope, PinTag};

/// What an upstream's file asks for beyond nginx and Tengine; [`super::Upstream::pins`] is `None` when that is nothing.
#[derive(Debug, Clone, Default)]
pub struct Pins {
    /// `always`: `session_sticky` sends its cookie with errors of the backend, too.
    pub always: bool,
    /// `send=due`: the cookie is sent when it is new, changed or due, with answers that a backend gave.
    pub due: bool,
    /// `nocache`: an answer with the cookie says `Cache-Control: private`.
    pub nocache: bool,
    /// `postonly`: the cookie is sent with answers to POST alone.
    pub postonly: bool,
    /// `preserve`: where the backend sets a cookie of the name, ours is not sent.
    pub preserve: bool,
    pub secure: Secure,
    pub httponly: bool,
    pub samesite: Option<SameSite>,
    /// Seconds without a request after which a session ends; `None`: none.
    pub maxidle: Option<i64>,
    /// Seconds after which a session ends whatever happens; `None`: none.
    pub maxlife: Option<i64>,
    pub seal: Option<Seal>,
    /// `sticky_alias`: values of peers that were, in the cookie's own unsigned form.
    pub aliases: PeerIndex,
    /// `sticky_accept`: values that others gave, by the name of their cookie.
    pub accepts: Vec<Accepted>,
    /// `sticky_parallel`: how long requests of one connection that have no cookie go to the first one's peer.
    pub parallel: Option<Duration>,
    /// `sticky_bypass`: one that is neither empty nor `0`, and the request has no session.
    pub bypass: Vec<Template>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Secure {
    #[default]
    Off,
    On,
    /// When the client came by TLS, as far as we or a trusted proxy know.
    Auto,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    Strict,
    Lax,
    None,
    /// `None` when the cookie is `Secure`, `Lax` otherwise: browsers throw `None` without `Secure` away, and a session
    /// that an iframe or a form of another site shall find needs it.
    Auto,
}

/// The keys of an upstream's pins, and what is worked out with them.
#[derive(Debug, Clone)]
pub struct Seal {
    /// The first signs, all verify.
    pub keys: Vec<PinKey>,
    /// The key was made up at start: a restart ends the sessions.
    pub random: bool,
    scopes: Vec<PinScope>,
    /// What stands in our pins for each peer.
    own: Vec<PinTag>,
    /// The way back, whatever key it was; of two peers with one value the first has it.
    tags: HashMap<PinTag, (usize, PeerId)>,
}

impl super::Upstream {
    /// Takes a key over that was made up for `old`, where this one has such a key too.
    pub fn keep_random_keys(&mut self, old: &Self) {
        if let Some(seal) = old.random_seal() {
            self.take_random_keys(seal.keys.clone());
        }
    }

    /// The seal, when its key was made up.
    pub fn random_seal(&self) -> Option<&Seal> {
        self.pins.as_ref()?.seal.as_ref().filter(|s| s.random)
    }

    /// Takes `keys` in place of one that was made up.
    pub fn take_random_keys(&mut self, keys: Vec<PinKey>) {
        let random = self.random_seal().is_some();
        if let Self { pins: Some(pins), sids, name, .. } = self
            && random
        {
            pins.seal = Some(Seal::new(keys, true, name, sids, &pins.aliases));
        }
    }
}

/// What a signed pin says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It has not the form of one.
    Other,
    /// It has, and nobody with our keys wrote it for this upstream.
    Forged,
    /// It is genuine, and its peer is no more. The times are those of [`Self::Peer`].
    Gone { last: i64, first: i64 },
    Peer {
        id: PeerId,
        /// When it was written, and when the session began; seconds since 1970.
        last: i64,
        first: i64,
        /// It is what we would write today but for the times: no other key, no alias.
        current: bool,
    },
}

impl Seal {
    /// `sids` are the values of the upstream's peers, `aliases` those of peers that were.
    pub fn new(
        keys: Vec<PinKey>,
        random: bool,
        upstream: &str,
        sids: &[Box<[u8]>],
        aliases: &PeerIndex,
    ) -> Self {
        let scopes: Vec<PinScope> = keys.iter().map(|k| k.scope(upstream)).collect();
        let peers = sids.iter().enumerate().map(|(i, sid)| (&**sid, PeerId(i as u32)));
        let all: Vec<_> = peers.chain(aliases.iter().map(|(sid, id)| (&**sid, *id))).collect();
        let mut tags = HashMap::new();
        for (i, scope) in scopes.iter().enumerate() {
            for (sid, id) in &all {
                tags.entry(scope.tag(sid)).or_insert((i, *id));
            }
        }
        let own = scopes.first().map_or_else(Vec::new, |s| sids.iter().map(|sid| s.tag(sid)).collect());
        Self { keys, random, scopes, own, tags }
    }

    /// Reads a value of a cookie.
    pub fn open(&self, value: &[u8]) -> Opened {
        let Some(pin) = Pin::read(value) else { return Opened::Other };
        let tag = pin.tag();
        let Some(&(key, id)) = self.tags.get(&tag) else {
            let genuine = self.scopes.iter().any(|s| s.verify(&pin));
            let gone = Opened::Gone { last: pin.last(), first: pin.first() };
            return if genuine { gone } else { Opened::Forged };
        };
        if !self.scopes.get(key).is_some_and(|s| s.verify(&pin)) {
            return Opened::Forged;
        }
        let current = self.own.get(id.ix()) == Some(&tag);
        Opened::Peer { id, last: pin.last(), first: pin.first(), current }
    }

    /// Which of the keys signed a pin.
    pub fn signed_by(&self, pin: &Pin) -> Option<&PinKey> {
        self.scopes.iter().position(|s| s.verify(pin)).and_then(|i| self.keys.get(i))
    }

    /// Appends a peer's pin.
    pub fn write(&self, peer: PeerId, last: i64, first: i64, out: &mut Vec<u8>) {
        if let (Some(scope), Some(tag)) = (self.scopes.first(), self.own.get(peer.ix())) {
            scope.write(*tag, last, first, out);
        }
    }
}

/// Values of one cookie's name that others gave.
#[derive(Debug, Clone, Default)]
pub struct Accepted {
    pub cookie: Box<[u8]>,
    /// All forms together, each value worked out for each peer.
    pub values: PeerIndex,
    /// `VALUE~…` means what `VALUE` means (HAProxy's `cookie … prefix`, Tengine's `mode=prefix`).
    pub prefixed: bool,
    /// `VALUE|…` means what `VALUE` means, unless `maxidle` or `maxlife` says that its dates are too old.
    pub dates: Dates,
}

/// How dates stand behind an accepted value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dates {
    /// `VALUE|LAST|FIRST` in decimal seconds since 1970 (Tengine, SERVERID).
    pub seconds: bool,
    /// `VALUE|LLLLL` or `VALUE|LLLLL|FFFFF`, HAProxy's five characters.
    pub haproxy: bool,
}
