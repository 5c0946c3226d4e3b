//! WebSocket's frames as they pass (RFC 6455 section 5.2): no more than where one ends.

/// The longest head: two bytes, a length of eight, a mask of four.
const HEAD: usize = 14;

/// One direction of a tunnel.
#[derive(Debug)]
pub(super) struct Frames {
    /// What passes is WebSocket.
    on: bool,
    head: [u8; HEAD],
    /// Bytes of the head that have come.
    have: usize,
    /// Bytes of the payload that have not.
    left: u64,
    /// A close frame has passed.
    closing: bool,
}

impl Frames {
    pub(super) fn new(on: bool) -> Self {
        Self { on, head: [0; HEAD], have: 0, left: 0, closing: false }
    }

    /// These bytes have been passed on.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while self.on && !bytes.is_empty() {
            if self.left > 0 {
                let n = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= n as u64;
                bytes = &bytes[n..];
                continue;
            }
            let (&byte, rest) = (&bytes[0], &bytes[1..]);
            bytes = rest;
            if let Some(at) = self.head.get_mut(self.have) {
                *at = byte;
            }
            self.have += 1;
            if self.have >= 2 {
                self.head_read();
            }
        }
    }

    /// Ends the head when it is whole.
    fn head_read(&mut self) {
        let (kind, second) = (self.head[0] & 0x0f, self.head[1]);
        let (extra, short) = match second & 0x7f {
            126 => (2, 0),
            127 => (8, 0),
            n => (0, u64::from(n)),
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if self.have < 2 + extra + mask {
            return;
        }
        let long = self.head[2..2 + extra].iter().fold(0, |n, b| n << 8 | u64::from(*b));
        self.left = if extra == 0 { short } else { long };
        self.closing |= kind == 8;
        self.have = 0;
    }

    /// A close frame, 1001 "going away", to be sent behind what has passed; empty where none may be. A client's frames are
    /// masked, with whatever mask.
    pub(super) fn close(&self, masked: bool) -> &'static [u8] {
        match self.on && !self.closing && self.have == 0 && self.left == 0 {
            true if masked => b"\x88\x82\0\0\0\0\x03\xe9",
            true => b"\x88\x02\x03\xe9",
            false => b"",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(bytes: &[u8]) -> bool {
        let mut whole = Frames::new(true);
        whole.pass(bytes);
        let mut pieces = Frames::new(true);
        bytes.iter().for_each(|b| pieces.pass(&[*b]));
        assert_eq!(whole.close(true).is_empty(), pieces.close(true).is_empty(), "{bytes:?}");
        !whole.close(false).is_empty()
    }

    #[test]
    fn a_farewell_goes_between_two_frames_only() {
        let long = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
        let longest = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &[7; 65536]].concat();
        let masked = [0x81, 0x83, 1, 2, 3, 4, b'a', b'b', b'c'];
        for frame in [&b"\x81\x02hi"[..], b"\x8a\0", &long, &longest, &masked] {
            assert!(after(frame), "{:?}", &frame[..2]);
            assert!(after(&[frame, frame].concat()));
            assert!(!after(&frame[..frame.len() - 1]));
            assert!(!after(&frame[..1]));
        }
        assert!(after(b""));
        assert!(!after(b"\x88\x02\x03\xe8"), "it was closed already");
        let mut other = Frames::new(false);
        other.pass(b"\x81\x02hi");
        assert_eq!(other.close(true), b"", "no WebSocket");
    }
}
