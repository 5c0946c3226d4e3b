//! Records in and out of a socket.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, Read as _, Write as _};
use std::task::{Context, Poll, Waker, ready};

use rustls::{Connection, Error};
use smallvec::SmallVec;

use super::super::Stream;
use super::error::Words;

/// What one read of the socket takes: two full records.
const SCRATCH: usize = 2 * (16 * 1024 + 256);

thread_local! {
    /// What a socket is read into, for the moment between the read and the decryption.
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// An established TLS connection, or one whose handshake is under way.
#[derive(Debug)]
pub struct TlsStream {
    socket: Stream,
    session: Connection,
    /// What was read of the socket and did not fit into the session.
    unread: Vec<u8>,
    /// Decrypted bytes that nobody has taken.
    plain: usize,
    /// Bytes of the write under way that are in records already.
    owed: usize,
    /// The socket has ended.
    eof: bool,
    /// The id of the session as the server's hello has it; empty before.
    session_id: SmallVec<[u8; 32]>,
    /// No farewell is said any more: it was, or the connection is broken.
    silent: Cell<bool>,
}

/// The socket as rustls writes to it.
struct Out<'a, 'b>(&'a mut Stream, &'a mut Context<'b>, Option<&'a mut SmallVec<[u8; 32]>>);

/// The session id in a record that begins with a server's hello (RFC 5246, section 7.4.1.3; RFC 8446, section 4.1.3).
fn session_id(record: &[u8]) -> Option<&[u8]> {
    const HEAD: usize = 5 + 4 + 2 + 32;
    (record.first() == Some(&22) && record.get(5) == Some(&2)).then_some(())?;
    let length = usize::from(*record.get(HEAD)?);
    record.get(HEAD + 1..HEAD + 1 + length)
}

impl io::Write for Out<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        now(self.0.poll_write(self.1, bytes))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(into) = &mut self.2
            && let Some(id) = bufs.first().and_then(|b| session_id(b))
        {
            into.clear();
            into.extend_from_slice(id.get(..32).unwrap_or(id));
        }
        now(self.0.poll_write_vectored(self.1, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn now<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// An error of the session in the place of one of the socket; [`TlsStream::error`] has it back.
fn broken(e: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, e)
}

impl TlsStream {
    pub(super) fn new(socket: Stream, session: Connection, unread: Vec<u8>) -> Self {
        let silent = Cell::new(false);
        Self { socket, session, unread, plain: 0, owed: 0, eof: false, session_id: SmallVec::new(), silent }
    }

    /// The session: what was agreed, and who the peer is.
    pub fn session(&self) -> &Connection {
        &self.session
    }

    /// The id of the session as the server's hello has it: its own before TLS 1.3, from then on what the client sent.
    pub fn session_id(&self) -> &[u8] {
        &self.session_id
    }

    /// The socket below.
    pub fn socket(&self) -> &Stream {
        &self.socket
    }

    /// The error of TLS that an error of reading or writing was, as OpenSSL says it.
    pub fn error(e: &io::Error) -> Option<String> {
        let inner = e.get_ref()?.downcast_ref::<Error>()?;
        Some(format!("SSL: {}", Words(inner)))
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.eof
    }

    /// Closing says nothing any more.
    pub(super) fn silence(&self) {
        self.silent.set(true);
    }

    /// Takes what the socket has into the session; at its end [`Self::has_ended`].
    pub(super) fn poll_records(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let unread = std::mem::take(&mut self.unread);
            return Poll::Ready(self.feed(&unread, cx));
        }
        READ.with_borrow_mut(|scratch| {
            let n = ready!(self.socket.poll_read(cx, scratch))?;
            if n == 0 {
                self.eof = true;
                self.session.read_tls(&mut io::empty())?;
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(self.feed(&scratch[..n], cx))
        })
    }

    fn feed(&mut self, mut bytes: &[u8], cx: &mut Context<'_>) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.session.read_tls(&mut bytes) {
                // Behind a farewell nothing counts.
                Ok(0) => break,
                Ok(_) => {}
                // There is plaintext enough; somebody will take it.
                Err(_) => {
                    self.unread = bytes.to_vec();
                    break;
                }
            }
            match self.session.process_new_packets() {
                Ok(state) => self.plain = state.plaintext_bytes_to_read(),
                Err(e) => {
                    // The alert that says why goes out if it can.
                    let _ = self.poll_flush(cx);
                    self.silence();
                    return Err(broken(e));
                }
            }
        }
        // Answers of the protocol itself. What does not go now goes with the next write.
        match self.poll_flush(cx) {
            Poll::Ready(Err(e)) => Err(e),
            _ => Ok(()),
        }
    }

    /// As [`Stream::poll_read`]. The end is the peer's farewell, or that of the socket: as nginx, none is asked for.
    pub(in super::super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.session.reader().read(into) {
                Ok(n) => {
                    self.plain = self.plain.saturating_sub(n);
                    return Poll::Ready(Ok(n));
                }
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(0)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
            ready!(self.poll_records(cx))?;
        }
    }

    pub(in super::super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.plain > 0 || self.eof || !self.unread.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.socket.poll_read_ready(cx)
    }

    /// As [`Stream::poll_write_vectored`]. All slices go into records together; it is ready when those are out, so nothing
    /// is left behind in the session.
    pub(in super::super) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let empty = bufs.iter().all(|b| b.is_empty());
        loop {
            if self.owed == 0 && !empty {
                self.owed = self.session.writer().write_vectored(bufs)?;
            }
            ready!(self.poll_flush(cx))?;
            if self.owed > 0 || empty {
                return Poll::Ready(Ok(std::mem::take(&mut self.owed)));
            }
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            let first = self.session_id.is_empty() && self.session.is_handshaking();
            let id = Some(&mut self.session_id).filter(|_| first);
            match self.session.write_tls(&mut Out(&mut self.socket, cx, id)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(e) => {
                    self.silence();
                    return Poll::Ready(Err(e));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Says farewell (`close_notify`), then FIN.
    pub(in super::super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.silent.replace(true) {
            self.session.send_close_notify();
        }
        ready!(self.poll_flush(cx))?;
        self.socket.poll_shutdown(cx)
    }

    pub(in super::super) fn set_reset_on_close(&self) -> io::Result<()> {
        self.silence();
        self.socket.set_reset_on_close()
    }
}

impl Drop for TlsStream {
    /// The farewell goes out if the socket takes it at once, as nginx's does.
    fn drop(&mut self) {
        if !self.silent.get() && !self.session.is_handshaking() {
            self.session.send_close_notify();
            let _ = self.poll_flush(&mut Context::from_waker(Waker::noop()));
        }
    }
}
