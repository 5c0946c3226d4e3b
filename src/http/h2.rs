//! The head of an answer in HTTP/2: the fields of [`super::respond`] but for those of a connection, in nginx's order.

use std::ops::Range;

use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use smallvec::SmallVec;

use super::respond::own_location;
use super::{Request, ThreadState, status};
use crate::values;
use crate::wire::ServerConn;

/// nginx counts the nine bytes before each frame.
const FRAME: u64 = 9;

/// Fields while their values lie in one buffer.
#[derive(Default)]
struct Fields {
    text: Vec<u8>,
    list: SmallVec<[(HeaderName, Range<usize>); 16]>,
    /// About the bytes they take.
    size: u64,
}

impl Fields {
    fn push(&mut self, name: HeaderName, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        write(&mut self.text);
        self.size += (name.as_str().len() + self.text.len() - start) as u64;
        self.list.push((name, start..self.text.len()));
    }

    /// What no HTTP/2 message may carry is left out: names that are no token, values with control characters.
    fn add(&mut self, name: &[u8], value: &[u8]) {
        if let Ok(name) = HeaderName::from_bytes(name) {
            self.push(name, |out| out.extend_from_slice(value));
        }
    }

    fn into_map(self) -> HeaderMap {
        let text = Bytes::from(self.text);
        let mut map = HeaderMap::with_capacity(self.list.len());
        for (name, range) in self.list {
            if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(range)) {
                map.append(name, value);
            }
        }
        map
    }
}

/// Hands the head to the stream.
pub(super) fn send_head(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState) {
    let location = own_location(req);
    let loc = req.location();
    let head = &req.out;
    let mut fields = Fields { text: Vec::with_capacity(512), ..Fields::default() };
    if !head.has_server {
        fields.add(b"server", status::server_name(loc.server_tokens).as_bytes());
    }
    if !head.has_date {
        fields.push(header::DATE, |out| thread.push_date(out));
    }
    if !head.content_type.is_empty() {
        fields.push(header::CONTENT_TYPE, |out| out.extend_from_slice(&head.content_type));
    }
    if let Some(length) = head.content_length {
        let mut number = itoa::Buffer::new();
        fields.push(header::CONTENT_LENGTH, |out| out.extend_from_slice(number.format(length).as_bytes()));
    }
    if let (Some(time), None) = (head.last_modified, head.last_modified_field) {
        fields.push(header::LAST_MODIFIED, |out| values::push_http_date(out, time));
    }
    if let Some(url) = &location {
        fields.push(header::LOCATION, |out| out.extend_from_slice(url));
    }
    for (name, value) in head.fields() {
        fields.add(name, value);
    }
    let size = FRAME + fields.size;
    let mut response = Response::new(());
    // Statuses have three digits here; what a peer invents below 100 is none.
    *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = fields.into_map();
    let chunk = loc.http2_chunk;
    conn.send_h2_head(response, size, chunk);
    req.header_size = size;
}

/// The fields behind the body, if there are any.
pub(super) fn send_trailers(req: &Request, conn: &mut ServerConn) {
    let Some(trailers) = &req.trailers else { return };
    let mut fields = Fields::default();
    for (name, value) in trailers.sent.fields() {
        fields.add(name, value);
    }
    let map = fields.into_map();
    if !map.is_empty() {
        conn.send_h2_trailers(map);
    }
}
