//! Session tickets: the session, sealed for ourselves (RFC 5077; RFC 8446, section 4.6.1).
//!
//! `name (16) | nonce (12) | AES-256-GCM of: time (8), session | tag (16)`. What a session is good for (the certificate that
//! was shown, the authorities that were asked for) is authenticated with it: elsewhere the ticket counts for nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::server::ProducesTickets;
use sha2::{Digest as _, Sha256};
use smallvec::{SmallVec, smallvec};

use crate::rt;

const NAME: usize = 16;
const NONCE: usize = 12;
const TIME: usize = 8;

/// One key: its name on the outside of tickets, and what seals.
#[derive(Clone)]
pub struct Key {
    name: [u8; NAME],
    secret: [u8; 32],
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// The key of a file of 48 or 80 bytes (`ssl_session_ticket_key`); all of them count. `None`: another length.
    pub fn of(file: &[u8]) -> Option<Self> {
        if !matches!(file.len(), 48 | 80) {
            return None;
        }
        let name = *file.first_chunk::<NAME>()?;
        let secret = Sha256::new().chain_update(b"tenrec ticket\0").chain_update(file).finalize().into();
        Some(Self { name, secret })
    }

    /// A key made up.
    pub fn random() -> Self {
        let (mut file, [one, two]) = ([0; 48], [rt::secret(), rt::secret()]);
        file[..32].copy_from_slice(&one);
        file[32..].copy_from_slice(&two[..16]);
        Self::of(&file).expect("48 bytes are a key")
    }

    /// The one after it, which does not tell the one before.
    fn next(&self) -> Self {
        let mix = |what: &[u8]| -> [u8; 32] {
            Sha256::new().chain_update(what).chain_update(self.secret).finalize().into()
        };
        let mut name = [0; NAME];
        name.copy_from_slice(&mix(b"tenrec ticket name\0")[..NAME]);
        Self { name, secret: mix(b"tenrec ticket next\0") }
    }

    fn aead(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.secret).ok().map(LessSafeKey::new)
    }
}

/// The keys of a server: the first seals, all open.
#[derive(Debug, Clone)]
pub enum Keys {
    /// From files.
    Given(Arc<[Key]>),
    /// Made up, and another one each time that a ticket's life is over.
    Random(Arc<Rotating>),
}

impl Keys {
    /// The key that seals now, and what `with` makes of all that open.
    fn with<T>(&self, now: u64, with: impl FnOnce(&[Key]) -> T) -> T {
        match self {
            Self::Given(keys) => with(keys),
            Self::Random(rotating) => with(&rotating.keys(now)),
        }
    }
}

/// A key made up, which makes the next one, and is gone when no ticket of its time is good any more. Processes that began
/// with the same key go on with the same keys.
#[derive(Debug)]
pub struct Rotating {
    /// Seconds that a key seals.
    period: u64,
    state: Mutex<Option<Turn>>,
}

/// The keys of a moment.
#[derive(Debug, Clone)]
struct Turn {
    /// When this turn began.
    since: u64,
    /// The one that seals, then the one before.
    keys: SmallVec<[Key; 2]>,
}

impl Rotating {
    /// For tickets that live so many seconds.
    pub fn new(lifetime: u32) -> Self {
        Self { period: u64::from(lifetime.max(1)), state: Mutex::new(None) }
    }

    pub fn period(&self) -> u64 {
        self.period
    }

    /// Goes on with the keys of another one; before it is used.
    pub fn adopt(&self, other: &Self) {
        let theirs = other.lock().clone();
        if theirs.is_some() && self.period == other.period {
            *self.lock() = theirs;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Turn>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys at a moment; the first call makes the first one.
    pub fn keys(&self, now: u64) -> SmallVec<[Key; 2]> {
        let mut state = self.lock();
        let turn = state.get_or_insert_with(|| Turn { since: now, keys: smallvec![Key::random()] });
        while now >= turn.since.saturating_add(self.period) {
            turn.since += self.period;
            let Some(next) = turn.keys.first().map(Key::next) else { break };
            turn.keys.insert(0, next);
            turn.keys.truncate(2);
        }
        turn.keys.clone()
    }
}

/// What tickets a server block gives and takes.
#[derive(Debug)]
pub struct Tickets {
    pub keys: Keys,
    /// What its sessions are good for.
    pub context: [u8; 32],
    /// Seconds (`ssl_session_timeout`).
    pub lifetime: u32,
}

impl Tickets {
    fn seal(&self, plain: &[u8], now: u64) -> Option<Vec<u8>> {
        let key = self.keys.with(now, |keys| keys.first().cloned())?;
        let mut nonce = [0; NONCE];
        aws_lc_rs::rand::fill(&mut nonce).ok()?;
        let mut body = Vec::with_capacity(TIME + plain.len() + AES_256_GCM.tag_len());
        body.extend_from_slice(&now.to_be_bytes());
        body.extend_from_slice(plain);
        let aad = Aad::from(self.context);
        key.aead()?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body).ok()?;
        Some([&key.name[..], &nonce, &body].concat())
    }

    fn open(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (nonce, body) = rest.split_first_chunk::<NONCE>()?;
        let key = self.keys.with(now, |keys| keys.iter().find(|k| k.name == *name).cloned())?;
        let mut body = body.to_vec();
        let aad = Aad::from(self.context);
        let plain = key.aead()?.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut body).ok()?;
        let (time, session) = plain.split_first_chunk::<TIME>()?;
        let age = now.saturating_sub(u64::from_be_bytes(*time));
        (age <= u64::from(self.lifetime)).then(|| session.to_vec())
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.lifetime
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, rt::clock::unix_secs())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, rt::clock::unix_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(files: &[&[u8]]) -> Keys {
        Keys::Given(files.iter().map(|f| Key::of(f).unwrap()).collect())
    }

    fn tickets(keys: Keys) -> Tickets {
        Tickets { keys, context: [1; 32], lifetime: 300 }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let (old, new) = ([1; 48], [2; 80]);
        let ticket = tickets(given(&[&old])).seal(b"session", 1000).unwrap();
        let both = tickets(given(&[&new, &old]));
        assert_eq!(both.open(&ticket, 1000).as_deref(), Some(&b"session"[..]));
        assert_eq!(both.open(&ticket, 1300).as_deref(), Some(&b"session"[..]));
        assert_eq!(both.open(&ticket, 1301), None, "too old");
        let ticket = both.seal(b"session", 1000).unwrap();
        assert_eq!(tickets(given(&[&old])).open(&ticket, 1000), None);
        assert!(tickets(given(&[&new])).open(&ticket, 1000).is_some());
        assert!(Key::of(&[0; 47]).is_none());
    }

    #[test]
    fn a_ticket_is_good_where_it_was_given_and_as_it_was_given() {
        let keys = Keys::Random(Arc::new(Rotating::new(300)));
        let one = tickets(keys.clone());
        let other = Tickets { context: [2; 32], ..tickets(keys) };
        let mut ticket = one.seal(b"session", 1000).unwrap();
        assert_eq!(other.open(&ticket, 1000), None);
        assert!(one.open(&ticket, 1000).is_some());
        for at in 0..ticket.len() {
            ticket[at] ^= 1;
            assert_eq!(one.open(&ticket, 1000), None, "byte {at}");
            ticket[at] ^= 1;
            assert_eq!(one.open(&ticket[..at], 1000), None);
        }
    }

    #[test]
    fn made_up_keys_take_turns_in_every_process_alike() {
        let keys = |period| Arc::new(Rotating::new(period));
        let (old, new, other) = (keys(300), keys(300), keys(60));
        let ticket = tickets(Keys::Random(old.clone())).seal(b"session", 1000).unwrap();
        new.adopt(&old);
        other.adopt(&old);
        let after = tickets(Keys::Random(new));
        assert!(after.open(&ticket, 1250).is_some());
        assert!(after.open(&ticket, 1300).is_some(), "the key before opens");
        assert_eq!(after.open(&ticket, 1700), None);
        let late = after.seal(b"late", 1700).unwrap();
        assert_ne!(ticket[..NAME], late[..NAME]);
        assert!(tickets(Keys::Random(old)).open(&late, 1701).is_some(), "it took the same turns");
        assert_eq!(tickets(Keys::Random(other)).open(&late, 1701), None);
    }
}
