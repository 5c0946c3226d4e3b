//! Signed pins: what a session's cookie says when nobody but us is to be able to write it.
//!
//! # On the wire
//! 44 characters of base64url (RFC 4648, section 5: `A-Z a-z 0-9 - _`, no padding), which stand for these 33 bytes.
//! Numbers are big-endian; `HMAC` is HMAC-SHA256 (RFC 2104) with the key's bytes, `len` the length of the upstream's
//! name in 4 bytes, `upstream` that name as the file has it.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | version: 1 |
//! | 1–8 | the peer: the first 8 bytes of `HMAC("tenrec peer" 00 len upstream sid)`; `sid` is what the cookie would say unsigned |
//! | 9–12 | when the pin was written, seconds since 1970 |
//! | 13–16 | when the session began, seconds since 1970 |
//! | 17–32 | the first 16 bytes of `HMAC("tenrec pin" 00 len upstream bytes 0–16)` |
//!
//! So a pin of another key, of another upstream or changed in any bit is not ours, and nobody without the key can tell
//! from it what the peer's address is. 33 is a multiple of 3: each character counts, two texts never mean one pin.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Characters of a signed pin.
pub const PIN_LEN: usize = 44;

/// Bytes that a key has at least.
pub const KEY_MIN: usize = 16;

const BYTES: usize = 33;
/// Those that are signed.
const SIGNED: usize = 17;
const VERSION: u8 = 1;

/// Stands in a pin for its peer.
pub type PinTag = [u8; 8];

/// A key that pins are signed with.
#[derive(Clone)]
pub struct PinKey {
    mac: Hmac<Sha256>,
    /// What it was made of, where nobody else knows that.
    made_up: Option<[u8; 32]>,
}

impl PinKey {
    /// `None`: shorter than [`KEY_MIN`].
    pub fn new(secret: &[u8]) -> Option<Self> {
        let mac = || Hmac::new_from_slice(secret).expect("any length is a key");
        (secret.len() >= KEY_MIN).then(|| Self { mac: mac(), made_up: None })
    }

    /// A key made up by this process, or by the one that it follows.
    pub fn made_up(secret: [u8; 32]) -> Self {
        let mac = Hmac::new_from_slice(&secret).expect("any length is a key");
        Self { mac, made_up: Some(secret) }
    }

    /// What a made up key is made of: for the program that follows this one, and nobody else.
    pub fn secret(&self) -> Option<&[u8; 32]> {
        self.made_up.as_ref()
    }

    /// Tells keys apart without showing them: 8 bytes of `HMAC("tenrec fingerprint")` in hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let sum = self.mac.clone().chain_update(b"tenrec fingerprint").finalize().into_bytes();
        sum.iter().take(8).map(|b| format!("{b:02x}")).collect()
    }

    /// The key for the pins of one upstream.
    pub fn scope(&self, upstream: &str) -> PinScope {
        let of = |what: &[u8]| {
            let len = u32::try_from(upstream.len()).unwrap_or(u32::MAX).to_be_bytes();
            self.mac.clone().chain_update(what).chain_update(len).chain_update(upstream)
        };
        PinScope { peer: of(b"tenrec peer\0"), pin: of(b"tenrec pin\0") }
    }
}

impl fmt::Debug for PinKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinKey")
    }
}

/// A key and an upstream.
#[derive(Clone)]
pub struct PinScope {
    peer: Hmac<Sha256>,
    pin: Hmac<Sha256>,
}

impl PinScope {
    /// What stands for the peer with this value.
    pub fn tag(&self, sid: &[u8]) -> PinTag {
        let sum: [u8; 32] = self.peer.clone().chain_update(sid).finalize().into_bytes().into();
        let mut tag = PinTag::default();
        tag.copy_from_slice(&sum[..8]);
        tag
    }

    /// Appends the pin of a peer. Times are seconds since 1970; from 2106 on they stand still.
    pub fn write(&self, tag: PinTag, last: i64, first: i64, out: &mut Vec<u8>) {
        let mut bytes = [0; BYTES];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&tag);
        bytes[9..13].copy_from_slice(&stamp(last));
        bytes[13..SIGNED].copy_from_slice(&stamp(first));
        let sum = self.pin.clone().chain_update(&bytes[..SIGNED]).finalize().into_bytes();
        bytes[SIGNED..].copy_from_slice(&sum[..BYTES - SIGNED]);
        let mut text = [0; PIN_LEN];
        let wrote = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
        debug_assert_eq!(wrote, Ok(PIN_LEN));
        out.extend_from_slice(&text);
    }

    /// Whether the pin was signed with this key for this upstream. The time it takes does not depend on the signature.
    pub fn verify(&self, pin: &Pin) -> bool {
        let mac = self.pin.clone().chain_update(&pin.0[..SIGNED]);
        mac.verify_truncated_left(&pin.0[SIGNED..]).is_ok()
    }
}

impl fmt::Debug for PinScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinScope")
    }
}

fn stamp(time: i64) -> [u8; 4] {
    u32::try_from(time.max(0)).unwrap_or(u32::MAX).to_be_bytes()
}

/// A text that has the form of a signed pin. Nothing in it is to be believed before [`PinScope::verify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; BYTES]);

impl Pin {
    /// `None`: it is something else.
    pub fn read(text: &[u8]) -> Option<Self> {
        if text.len() != PIN_LEN {
            return None;
        }
        let mut bytes = [0; BYTES];
        let read = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (read == BYTES && bytes[0] == VERSION).then_some(Self(bytes))
    }

    pub fn tag(&self) -> PinTag {
        let [_, tag @ .., _, _, _, _, _, _, _, _] = self.head();
        tag
    }

    /// When it was written.
    pub fn last(&self) -> i64 {
        let [.., a, b, c, d, _, _, _, _] = self.head();
        i64::from(u32::from_be_bytes([a, b, c, d]))
    }

    /// When the session began.
    pub fn first(&self) -> i64 {
        let [.., a, b, c, d] = self.head();
        i64::from(u32::from_be_bytes([a, b, c, d]))
    }

    fn head(&self) -> [u8; SIGNED] {
        let mut head = [0; SIGNED];
        head.copy_from_slice(&self.0[..SIGNED]);
        head
    }
}
