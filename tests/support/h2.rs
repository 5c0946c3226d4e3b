//! A client of HTTP/2: a well-behaved one (h2), and one that writes whatever frames a test wants.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use h2::client::SendRequest;
use hyper::body::Bytes;
use hyper::{HeaderMap, Request};

use super::SOON;

/// What was answered, or the reason that the stream was reset with.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub fields: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
    pub reset: Option<String>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.to_str().ok()
    }
}

/// A request: method, path, fields, body; a body in several parts is sent in as many frames.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub host: &'a str,
    pub fields: Vec<(&'a str, String)>,
    pub body: Vec<Vec<u8>>,
    pub trailers: Vec<(&'a str, &'a str)>,
}

impl<'a> Ask<'a> {
    pub fn get(path: &'a str) -> Self {
        Self { method: "GET", path, host: "h", fields: Vec::new(), body: Vec::new(), trailers: Vec::new() }
    }

    pub fn post(path: &'a str, body: &[&[u8]]) -> Self {
        Self { method: "POST", body: body.iter().map(|b| b.to_vec()).collect(), ..Self::get(path) }
    }

    pub fn with(mut self, name: &'a str, value: &str) -> Self {
        self.fields.push((name, value.to_owned()));
        self
    }
}

/// A connection by prior knowledge.
pub struct Session {
    runtime: tokio::runtime::Runtime,
    send: SendRequest<Bytes>,
    pub driver: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Session {
    #[track_caller]
    pub fn connect(port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (send, driver) = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (send, connection) = h2::client::handshake(stream).await.unwrap();
            (send, tokio::spawn(connection))
        });
        Self { runtime, send, driver }
    }

    /// One request, and its answer.
    pub fn ask(&mut self, ask: &Ask<'_>) -> Answer {
        self.all(std::slice::from_ref(ask)).remove(0)
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.ask(&Ask::get(path))
    }

    /// All of them at once; answers in the order of the requests.
    pub fn all(&mut self, asks: &[Ask<'_>]) -> Vec<Answer> {
        let send = self.send.clone();
        self.runtime.block_on(async move {
            let work = async {
                let mut send = send.ready().await.unwrap();
                let mut waiting = Vec::new();
                for ask in asks {
                    let uri = format!("http://{}{}", ask.host, ask.path);
                    let mut request = Request::builder().method(ask.method).uri(uri);
                    for (name, value) in &ask.fields {
                        request = request.header(*name, value);
                    }
                    let bare = ask.body.is_empty() && ask.trailers.is_empty();
                    let (answer, mut body) = send.send_request(request.body(()).unwrap(), bare).unwrap();
                    let (parts, trailers) = (ask.body.clone(), ask.trailers.clone());
                    waiting.push(async move {
                        let upload = async {
                            if bare {
                                return;
                            }
                            for (i, part) in parts.iter().enumerate() {
                                let last = i + 1 == parts.len() && trailers.is_empty();
                                if !push(&mut body, part, last).await {
                                    return;
                                }
                            }
                            if !trailers.is_empty() {
                                let mut map = HeaderMap::new();
                                for (name, value) in trailers {
                                    let name: hyper::header::HeaderName = name.parse().unwrap();
                                    map.append(name, value.parse().unwrap());
                                }
                                let _ = body.send_trailers(map);
                            }
                        };
                        tokio::join!(upload, read(answer)).1
                    });
                    send = send.ready().await.unwrap();
                }
                let mut answers = Vec::new();
                let tasks: Vec<_> = join_all(waiting).await;
                answers.extend(tasks);
                answers
            };
            tokio::time::timeout(SOON, work).await.expect("answers in time")
        })
    }

    /// Whether the other side has ended the connection, by now or soon.
    pub fn ended(self) -> bool {
        let driver = self.driver;
        self.runtime.block_on(async { tokio::time::timeout(SOON, driver).await.is_ok() })
    }
}

async fn join_all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = futures.into_iter().map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(|cx| {
        let mut all = true;
        for (future, out) in &mut pinned {
            if out.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *out = Some(value),
                    std::task::Poll::Pending => all = false,
                }
            }
        }
        if all { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    pinned.into_iter().map(|(_, out)| out.unwrap()).collect()
}

/// Sends a part as the window allows; false: nobody wants it.
async fn push(body: &mut h2::SendStream<Bytes>, part: &[u8], last: bool) -> bool {
    let mut rest = Bytes::copy_from_slice(part);
    while !rest.is_empty() {
        body.reserve_capacity(rest.len());
        let Some(Ok(n)) = std::future::poll_fn(|cx| body.poll_capacity(cx)).await else { return false };
        let piece = rest.split_to(n.min(rest.len()));
        let end = last && rest.is_empty();
        if body.send_data(piece, end).is_err() {
            return false;
        }
    }
    !part.is_empty() || body.send_data(Bytes::new(), last).is_ok()
}

async fn read(answer: h2::client::ResponseFuture) -> Answer {
    let mut out =
        Answer { status: 0, fields: HeaderMap::new(), body: Vec::new(), trailers: None, reset: None };
    let response = match answer.await {
        Ok(response) => response,
        Err(e) => return Answer { reset: Some(e.to_string()), ..out },
    };
    out.status = response.status().as_u16();
    out.fields = response.headers().clone();
    let mut body = response.into_body();
    while let Some(part) = body.data().await {
        match part {
            Ok(part) => {
                let _ = body.flow_control().release_capacity(part.len());
                out.body.extend_from_slice(&part);
            }
            Err(e) => return Answer { reset: Some(e.to_string()), ..out },
        }
    }
    out.trailers = body.trailers().await.ok().flatten();
    out
}

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame as it came.
#[derive(Debug, Clone)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of RST_STREAM or GOAWAY.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// Frames as a test wants them.
pub struct Raw(pub TcpStream);

impl Raw {
    /// The preface and empty settings are sent.
    pub fn connect(port: u16) -> Self {
        Self::with_settings(port, &[])
    }

    pub fn with_settings(port: u16, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut raw = Self(stream);
        raw.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let payload: Vec<u8> =
            settings.iter().flat_map(|(id, v)| [&id.to_be_bytes()[..], &v.to_be_bytes()].concat()).collect();
        raw.send(SETTINGS, 0, 0, &payload);
        raw
    }

    /// False: the other side has closed.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.0.write_all(&frame(kind, flags, stream, payload)).is_ok()
    }

    /// A head with all pseudo-headers of a GET, and these fields; ends the stream.
    pub fn get(&mut self, stream: u32, path: &str, fields: &[(&str, &str)]) -> bool {
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &get(path, fields))
    }

    /// The next frame; `None` at the end of the connection.
    pub fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let mut payload =
            vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        self.0.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of this kind, those before it dropped.
    #[track_caller]
    pub fn until(&mut self, kind: u8) -> Frame {
        let mut seen = Vec::new();
        while let Some(frame) = self.read() {
            if frame.kind == kind {
                return frame;
            }
            seen.push(frame);
        }
        panic!("no frame of kind {kind}, but {seen:?}");
    }

    /// All frames up to the end of the connection.
    pub fn rest(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.read()).collect()
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

/// A header block without a table, a prefix or Huffman's code.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    let text = |out: &mut Vec<u8>, text: &str| {
        let mut n = text.len();
        if n < 127 {
            out.push(n as u8);
        } else {
            out.push(127);
            n -= 127;
            while n >= 128 {
                out.push(n as u8 & 127 | 128);
                n >>= 7;
            }
            out.push(n as u8);
        }
        out.extend_from_slice(text.as_bytes());
    };
    for (name, value) in fields {
        out.push(0);
        text(&mut out, name);
        text(&mut out, value);
    }
    out
}

pub fn get(path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "h")];
    block(&[&pseudo, fields].concat())
}
