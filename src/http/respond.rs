//! The head of an answer, as nginx's header filter writes it, and its body.

use std::time::Duration;

use super::request::Trailers;
use super::{Request, Then, ThreadState, filters, h2, status};
use crate::diag::Severity;
use crate::plan::ListenAddr;
use crate::wire::{Method, Pace, SendError, ServerConn, Version};
use crate::{values, vars};

/// Runs the header filters, decides the framing and puts the head into the output buffer.
/// `Err`: a filter made it another answer; nothing was written, and the caller has to give that status an error page.
pub fn send_head(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState) -> Result<(), u16> {
    if req.head_sent {
        return Ok(());
    }
    prepare(req, thread)?;
    req.head_sent = true;
    set_pace(req, conn);
    if conn.is_h2() {
        h2::send_head(req, conn, thread);
        return Ok(());
    }
    if req.head.version < Version::HTTP_10 {
        return Ok(());
    }
    let out = conn.out();
    let before = out.len();
    write_head(req, thread, out);
    req.header_size = (out.len() - before) as u64;
    Ok(())
}

/// `limit_rate`, or what the request says of itself.
fn set_pace(req: &mut Request, conn: &mut ServerConn) {
    let loc = req.location();
    if req.limit_rate.is_none() && loc.limit_rate.is_none() {
        return;
    }
    let size = |template| values::size(&vars::eval_to_vec(template, req)).unwrap_or(0);
    let rate = req.limit_rate.unwrap_or_else(|| loc.limit_rate.as_ref().map_or(0, size));
    let after = loc.limit_rate_after.as_ref().map_or(0, size);
    req.limit_rate = Some(rate);
    conn.set_pace((rate > 0).then(|| Pace::new(rate, after)));
}

/// Sends a piece of body, chunked when the head says so, and whatever is in the output buffer before it.
pub async fn send_body(req: &mut Request, conn: &mut ServerConn, data: &[u8]) -> Result<(), SendError> {
    if req.header_only || data.is_empty() {
        return Ok(());
    }
    if req.transform.is_some() {
        transformed(req, conn, data, Then::More).await?;
        // Others have waited long enough.
        tokio::task::yield_now().await;
        return Ok(());
    }
    send_piece(req, conn, data).await
}

async fn send_piece(req: &Request, conn: &mut ServerConn, data: &[u8]) -> Result<(), SendError> {
    let timeout = req.location().send_timeout;
    if req.chunked { conn.send_chunk(data, false, timeout).await } else { conn.send(data, timeout).await }
}

/// Sends the last piece of a body, which may be empty, and ends the answer.
pub async fn send_last(req: &mut Request, conn: &mut ServerConn, data: &[u8]) -> Result<(), SendError> {
    if req.transform.is_some() && !req.header_only {
        let last = transformed(req, conn, data, Then::End).await?;
        return send_end(req, conn, &last).await;
    }
    send_end(req, conn, data).await
}

/// Sends what comes of a piece of body; the last of it, if it ends the body, is given back.
async fn transformed(
    req: &mut Request,
    conn: &mut ServerConn,
    mut data: &[u8],
    then: Then,
) -> Result<Vec<u8>, SendError> {
    let mut out = Vec::new();
    loop {
        let Some(transform) = &mut req.transform else { return Ok(out) };
        let stepped = match transform.step(data, then, &mut out) {
            Ok(stepped) => stepped,
            Err(e) => {
                let thread = std::rc::Rc::clone(&req.thread);
                thread.log_error(req, Severity::Error, format_args!("{e}"));
                return Err(std::io::Error::from(std::io::ErrorKind::InvalidData).into());
            }
        };
        data = data.get(stepped.taken..).unwrap_or_default();
        if stepped.done && then == Then::End {
            req.gzip_ratio = transform.ratio();
            return Ok(out);
        }
        if !out.is_empty() {
            send_piece(req, conn, &out).await?;
            out.clear();
        }
        if stepped.done {
            return Ok(out);
        }
    }
}

async fn send_end(req: &mut Request, conn: &mut ServerConn, data: &[u8]) -> Result<(), SendError> {
    let timeout = req.location().send_timeout;
    if req.header_only {
        conn.flush(timeout).await?;
    } else if req.chunked {
        filters::trailers(req);
        match &req.trailers {
            Some(trailers) => send_trailers(trailers, conn, data, timeout).await?,
            None => conn.send_chunk(data, true, timeout).await?,
        }
    } else {
        conn.send(data, timeout).await?;
        if conn.is_h2() {
            filters::trailers(req);
            h2::send_trailers(req, conn);
        }
    }
    req.completed = true;
    Ok(())
}

/// The last piece of a body, and the fields behind it.
async fn send_trailers(
    trailers: &Trailers,
    conn: &mut ServerConn,
    data: &[u8],
    timeout: Duration,
) -> Result<(), SendError> {
    if !data.is_empty() {
        conn.send_chunk(data, false, timeout).await?;
    }
    let out = conn.out();
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.sent.fields() {
        line(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
    conn.flush(timeout).await
}

/// Sends what is in the output buffer, and before it what of the body is held back.
pub async fn flush(req: &mut Request, conn: &mut ServerConn) -> Result<(), SendError> {
    if req.transform.is_some() {
        transformed(req, conn, b"", Then::Flush).await?;
    }
    conn.flush(req.location().send_timeout).await
}

/// Ends the body: the last chunk, and all that is still in the output buffer.
pub async fn finish(req: &mut Request, conn: &mut ServerConn) -> Result<(), SendError> {
    send_last(req, conn, b"").await
}

/// Everything about the head but its bytes.
pub(super) fn prepare(req: &mut Request, thread: &ThreadState) -> Result<(), u16> {
    if req.err_status != 0 {
        req.out.status = req.err_status;
        req.out.status_line.clear();
    }
    filters::run(req, thread)?;
    let status = req.out.status;
    let head = req.method() == Method::Head;
    // The chunked filter: bodies of unknown length, and with fields behind them.
    if !(status == 304 || status == 204 || status < 200 || head)
        && (req.out.content_length.is_none() || req.expect_trailers)
        && req.head.version < Version::HTTP_20
    {
        if req.head.version >= Version::HTTP_11 && req.location().chunked_transfer_encoding {
            req.chunked = true;
            req.out.content_length = None;
        } else if req.out.content_length.is_none() {
            req.keepalive = false;
        }
    }
    req.header_only = head || status == 304 || status == 204 || req.header_only;
    if req.out.last_modified.is_some() && !matches!(status, 200 | 206 | 304) {
        req.out.last_modified = None;
    }
    if status == 204 && req.out.status_line.is_empty() {
        req.out.content_type.clear();
        req.out.content_length = None;
        req.out.last_modified = None;
    }
    if thread.draining() {
        req.keepalive = false;
    }
    Ok(())
}

/// Writes the head in nginx's order: what it makes by itself, then the fields.
pub(super) fn write_head(req: &mut Request, thread: &ThreadState, out: &mut Vec<u8>) {
    let location = own_location(req);
    let loc = req.plan.locations.get(req.loc.ix()).expect("a request is always in a location of its plan");
    let head = &req.out;
    let mut number = itoa::Buffer::new();
    out.extend_from_slice(b"HTTP/1.1 ");
    if !head.status_line.is_empty() {
        out.extend_from_slice(&head.status_line);
    } else if let Some(line) = status::line(head.status) {
        out.extend_from_slice(line.as_bytes());
    } else {
        let _ = std::io::Write::write_fmt(out, format_args!("{:03} ", head.status));
    }
    out.extend_from_slice(b"\r\n");
    if !head.has_server {
        line(out, b"Server", status::server_name(loc.server_tokens).as_bytes());
    }
    if !head.has_date {
        out.extend_from_slice(b"Date: ");
        thread.push_date(out);
        out.extend_from_slice(b"\r\n");
    }
    if !head.content_type.is_empty() {
        line(out, b"Content-Type", &head.content_type);
    }
    if let Some(length) = head.content_length {
        line(out, b"Content-Length", number.format(length).as_bytes());
    }
    if let (Some(time), None) = (head.last_modified, head.last_modified_field) {
        out.extend_from_slice(b"Last-Modified: ");
        values::push_http_date(out, time);
        out.extend_from_slice(b"\r\n");
    }
    if let Some(url) = location {
        line(out, b"Location", &url);
    }
    if req.chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if head.status == 101 {
        out.extend_from_slice(b"Connection: upgrade\r\n");
    } else if req.keepalive {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
        if let Some(timeout) = loc.keepalive_header.filter(|t| t.as_secs() > 0) {
            out.extend_from_slice(b"Keep-Alive: timeout=");
            out.extend_from_slice(number.format(timeout.as_secs()).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    } else {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    if head.vary {
        line(out, b"Vary", b"Accept-Encoding");
    }
    for (name, value) in head.fields() {
        line(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// A redirect of our own made absolute: taken out of the fields, and what the client gets instead.
pub(super) fn own_location(req: &mut Request) -> Option<Vec<u8>> {
    let field = req.out.location?;
    let loc = req.plan.locations.get(req.loc.ix())?;
    if !loc.absolute_redirect || req.out.value(field).first() != Some(&b'/') {
        return None;
    }
    req.out.hide(field);
    let mut url = Vec::with_capacity(64);
    absolute(&mut url, &req.plan, req.server, loc, &req.head, &req.conn);
    url.extend_from_slice(req.out.value(field));
    // For `$sent_http_location`.
    let shown = req.out.push(b"Location", &url);
    req.out.hide(shown);
    req.out.location = Some(shown);
    Some(url)
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// `http://host:port` of a redirect.
fn absolute(
    url: &mut Vec<u8>,
    plan: &crate::plan::Plan,
    server: crate::plan::ServerId,
    loc: &crate::plan::Location,
    head: &crate::wire::RequestHead,
    conn: &super::ConnInfo,
) {
    url.extend_from_slice(if conn.tls { b"https://" } else { b"http://" });
    let host = head.host().filter(|h| !h.is_empty());
    match (host, plan.servers.get(server.ix())) {
        (_, Some(server)) if loc.server_name_in_redirect => url.extend_from_slice(&server.name),
        (Some(host), _) => url.extend_from_slice(host),
        (None, _) => match &conn.local {
            ListenAddr::Inet(a) if a.is_ipv6() => {
                let _ = std::io::Write::write_fmt(url, format_args!("[{}]", a.ip()));
            }
            ListenAddr::Inet(a) => {
                let _ = std::io::Write::write_fmt(url, format_args!("{}", a.ip()));
            }
            ListenAddr::Unix(path) => {
                url.extend_from_slice(b"unix:");
                url.extend_from_slice(path.as_os_str().as_encoded_bytes());
            }
        },
    }
    let port = conn.local_port();
    let usual = if conn.tls { 443 } else { 80 };
    if loc.port_in_redirect && port != usual && port != 0 {
        url.push(b':');
        url.extend_from_slice(itoa::Buffer::new().format(port).as_bytes());
    }
}
