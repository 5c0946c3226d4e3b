//! A client that sees every byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::SOON;

/// One connection to a proxy.
pub struct Client {
    stream: TcpStream,
    buf: Vec<u8>,
}

/// An answer, its head kept as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub head: String,
    pub status: u16,
    pub body: Vec<u8>,
}

impl Response {
    /// The values of a field, in order; the name compares without regard to case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.head.lines().skip(1).filter_map(move |line| {
            let (n, v) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim())
        })
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.all(name).next().map(str::to_owned)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `NAME=VALUE` of the cookie that the answer sets.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.all("Set-Cookie").find_map(|c| {
            let pair = c.split(';').next()?;
            (pair.split_once('=')?.0 == name).then(|| pair.to_owned())
        })
    }
}

impl Client {
    #[track_caller]
    pub fn connect(port: u16) -> Self {
        Self::from_addr(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    #[track_caller]
    pub fn from_addr(addr: SocketAddr) -> Self {
        Self::from_stream(
            TcpStream::connect_timeout(&addr, SOON).unwrap_or_else(|e| panic!("connect {addr}: {e}")),
        )
    }

    pub fn from_stream(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buf: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        // A peer that answered and closed early is the test's subject, not an error of the client.
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// No more bytes from this side.
    pub fn half_close(&mut self) -> &mut Self {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// Reads one answer to a request whose method was `GET` or alike.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.read_response(false)
    }

    /// Reads one answer to a `HEAD`.
    #[track_caller]
    pub fn response_to_head(&mut self) -> Response {
        self.read_response(true)
    }

    #[track_caller]
    fn read_response(&mut self, head_only: bool) -> Response {
        let end = loop {
            if let Some(i) = find(&self.buf, b"\r\n\r\n") {
                break i + 4;
            }
            assert!(self.fill(), "closed before a whole head: {:?}", String::from_utf8_lossy(&self.buf));
        };
        let head = String::from_utf8_lossy(&self.buf[..end]).into_owned();
        self.buf.drain(..end);
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        let mut response = Response { head, status, body: Vec::new() };
        if head_only || status < 200 || status == 204 || status == 304 {
            return response;
        }
        if response.header("Transfer-Encoding").is_some_and(|v| v.contains("chunked")) {
            response.body = self.chunked();
        } else if let Some(n) = response.header("Content-Length").and_then(|v| v.parse().ok()) {
            while self.buf.len() < n {
                assert!(self.fill(), "closed inside a body of {n} at {}", self.buf.len());
            }
            response.body = self.buf.drain(..n).collect();
        } else {
            while self.fill() {}
            response.body = std::mem::take(&mut self.buf);
        }
        response
    }

    #[track_caller]
    fn chunked(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.line();
            let size = usize::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16)
                .unwrap_or_else(|_| panic!("bad chunk size {line:?}"));
            if size == 0 {
                while !self.line().is_empty() {}
                return body;
            }
            while self.buf.len() < size + 2 {
                assert!(self.fill(), "closed inside a chunk");
            }
            body.extend(self.buf.drain(..size));
            assert_eq!(self.line(), "", "a chunk ends with CRLF");
        }
    }

    #[track_caller]
    fn line(&mut self) -> String {
        loop {
            if let Some(i) = find(&self.buf, b"\r\n") {
                let line = String::from_utf8_lossy(&self.buf[..i]).into_owned();
                self.buf.drain(..i + 2);
                return line;
            }
            assert!(self.fill(), "closed inside a line");
        }
    }

    /// Everything until the proxy closes.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buf)
    }

    /// Whether the proxy has closed the connection with nothing more to read.
    pub fn closed(&mut self) -> bool {
        self.buf.is_empty() && !self.fill()
    }

    /// Reads at least a byte more; false at the end of the stream.
    #[track_caller]
    pub fn fill(&mut self) -> bool {
        let mut chunk = [0; 16384];
        let read = loop {
            match self.stream.read(&mut chunk) {
                // A signal to the test's process, such as a child's end, is no answer.
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        match read {
            Ok(n) => {
                self.buf.extend_from_slice(&chunk[..n]);
                n > 0
            }
            Err(e) if e.kind() == ErrorKind::ConnectionReset => false,
            Err(e) => panic!("read: {e} after {:?}", String::from_utf8_lossy(&self.buf)),
        }
    }
}

/// `GET path` on a connection of its own, with `fields` (each ending in CRLF) beside Host and Connection.
#[track_caller]
pub fn get_with(port: u16, path: &str, fields: &str) -> Response {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n");
    Client::connect(port).send(request).response()
}

#[track_caller]
pub fn get(port: u16, path: &str) -> Response {
    get_with(port, path, "")
}

/// Sends bytes on a connection of its own and reads until the proxy closes.
#[track_caller]
pub fn raw(port: u16, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    Client::connect(port).send(bytes).rest()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}
