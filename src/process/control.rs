//! What the master says to its worker, over a pair of sockets.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};

use crate::server::Leaving;
use crate::sys;

/// One message of the master.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// End when the requests are answered; these queues have nobody else.
    Quit(Vec<Leaving>),
    Terminate,
    /// Open the logs again.
    Reopen,
}

/// What the worker answers once all its threads accept connections.
pub(crate) const READY: u8 = b'r';

const QUIT: u8 = b'Q';
const TERMINATE: u8 = b'T';
const REOPEN: u8 = b'O';

impl Message {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Message::Terminate => vec![TERMINATE],
            Message::Reopen => vec![REOPEN],
            Message::Quit(leaving) => {
                let mut out = vec![QUIT];
                out.extend((leaving.len() as u32).to_ne_bytes());
                for l in leaving {
                    out.extend(l.id.to_ne_bytes());
                    out.push(u8::from(l.linger));
                }
                out
            }
        }
    }
}

/// Sends a message; false: the worker cannot be reached this way.
pub(crate) fn send(to: &OwnedFd, message: &Message) -> bool {
    let bytes = message.bytes();
    sys::write_all_or_part(to.as_fd(), &bytes).is_ok_and(|n| n == bytes.len())
}

/// The worker's end: bytes until they are a message.
#[derive(Debug)]
pub(crate) struct Inbox {
    fd: OwnedFd,
    bytes: Vec<u8>,
    open: bool,
}

impl Inbox {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd, bytes: Vec::new(), open: true }
    }

    /// The descriptor to wait on; `None`: the master is gone.
    pub(crate) fn fd(&self) -> Option<RawFd> {
        self.open.then(|| self.fd.as_raw_fd())
    }

    /// Tells the master that connections are accepted.
    pub(crate) fn say_ready(&self) {
        let _ = sys::write_all_or_part(self.fd.as_fd(), &[READY]);
    }

    /// Reads what has come.
    pub(crate) fn read(&mut self) {
        while let Some(byte) = sys::read_byte(&self.fd) {
            self.bytes.push(byte);
        }
        self.open = self.open && !sys::is_closed(&self.fd);
    }

    /// The next whole message.
    pub(crate) fn next(&mut self) -> Option<Message> {
        let (message, used) = match *self.bytes.first()? {
            TERMINATE => (Message::Terminate, 1),
            REOPEN => (Message::Reopen, 1),
            QUIT => {
                let count = u32::from_ne_bytes(self.bytes.get(1..5)?.try_into().ok()?) as usize;
                let list = self.bytes.get(5..5 + count * 5)?;
                let leaving = list.chunks_exact(5).filter_map(|c| {
                    let (id, linger) = c.split_last_chunk::<1>()?;
                    Some(Leaving { id: i32::from_ne_bytes(id.try_into().ok()?), linger: linger[0] == 1 })
                });
                (Message::Quit(leaving.collect()), 5 + count * 5)
            }
            _ => {
                self.bytes.clear();
                return None;
            }
        };
        self.bytes.drain(..used);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way_in_any_pieces() {
        let sent = [
            Message::Quit(vec![Leaving { id: 7, linger: true }, Leaving { id: 300, linger: false }]),
            Message::Reopen,
            Message::Quit(Vec::new()),
            Message::Terminate,
        ];
        let (a, b) = sys::pair().unwrap();
        let mut inbox = Inbox::new(b);
        let mut got = Vec::new();
        for byte in sent.iter().flat_map(Message::bytes) {
            sys::write_all_or_part(a.as_fd(), &[byte]).unwrap();
            inbox.read();
            got.extend(inbox.next());
        }
        assert_eq!(got, sent);
        assert!(inbox.fd().is_some());
        drop(a);
        inbox.read();
        assert!(inbox.fd().is_none(), "the master is gone");
    }
}
