//! The life of a request between its head and its answer: nginx's phases, error pages and internal redirects.

use super::captures::run_regex;
use super::context::Bytes;
use super::{
    Event, NamedBy, Request, ThreadState, browser, checks, content, gate, host, limit, realip, respond,
    route, script, secure, special, uri,
};
use crate::diag::Severity;
use crate::plan::{Content, LocId, LocMatch, Return};
use crate::vars;
use crate::wire::{BodyError, Framing, KnownField, Method, SendError, ServerConn, Version};

/// What is left to do for the driver.
#[derive(Debug)]
pub enum Step {
    /// The answer is in the output buffer or sent, its end included.
    Done,
    /// `proxy_pass` of the request's location answers.
    Proxy(LocId),
    /// `return 444`: the connection is closed without a word.
    Close,
    /// The client cannot be written to any more.
    Failed(SendError),
}

/// What the request does next.
#[derive(Debug)]
pub(super) enum Next {
    /// The server's own phase, then a location for the path.
    Server,
    /// A location for the path.
    Find,
    /// In this location, without a search (named ones).
    Location(LocId),
    /// Ends with this status.
    Status(u16),
    Step(Step),
}

impl From<Result<(), SendError>> for Next {
    fn from(sent: Result<(), SendError>) -> Self {
        Self::Step(sent.map_or_else(Step::Failed, |()| Step::Done))
    }
}

/// Serves a request whose head was read: chooses the server, then goes through the phases.
pub async fn run(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState) -> Step {
    if let Err(status) = set_uri(req) {
        thread.log_error(
            req,
            Severity::Info,
            format_args!("client sent invalid request while reading client request line"),
        );
        return error(req, conn, thread, status).await;
    }
    if let Some(status) = secure::misdirected(req, thread) {
        return error(req, conn, thread, status).await;
    }
    choose_server(req);
    if req.head.version >= Version::HTTP_20 && !speaks_h2(req) {
        let text =
            "client attempted to request the server name for which the negotiated protocol is disabled";
        thread.log_error(req, Severity::Info, format_args!("{text}"));
        return error(req, conn, thread, 421).await;
    }
    if let Some(status) = secure::refused(req, thread) {
        return error(req, conn, thread, status).await;
    }
    realip::apply(req);
    req.lingering = req.has_body();
    req.keepalive = req.head.keep_alive && req.head.method_id != Method::Connect;
    drive(req, conn, thread, Next::Server).await
}

/// Whether HTTP/2 is spoken by the request's server, or on its address.
fn speaks_h2(req: &Request) -> bool {
    req.server().http2.on || req.conn.listen_entry(&req.plan).is_some_and(|e| e.http2)
}

/// Serves a request of our own, whose server is chosen.
pub async fn run_sub(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState) -> Step {
    drive(req, conn, thread, Next::Server).await
}

/// Makes the path and the arguments of the target. A target that has none leaves nothing known but the request line:
/// nginx looks at it before it reads a field.
pub fn set_uri(req: &mut Request) -> Result<(), u16> {
    let head = &req.head;
    let (uri, args) = (&mut req.uri, &mut req.args);
    let target = head.target();
    if head.simple_path {
        uri.clear();
        args.clear();
        let (path, query) = uri::split_args(target);
        uri.extend_from_slice(path);
        args.extend_from_slice(query);
    } else {
        let merge = req.plan.servers.get(req.server.ix()).is_none_or(|s| s.merge_slashes);
        if uri::normalise(target, merge, uri, args).is_err() {
            uri.clear();
            args.clear();
            req.head.fields.clear();
            req.head.host = None;
            req.request_length = req.head.line().len() as u64 + 2;
            return Err(400);
        }
    }
    req.valid_unparsed_uri = !req.head.empty_path;
    Ok(())
}

/// Ends a request with a status: its `error_page`, or the built-in page.
pub async fn error(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState, status: u16) -> Step {
    drive(req, conn, thread, Next::Status(status)).await
}

/// Sends a request elsewhere, as `X-Accel-Redirect` does: to a path, or to a named location (`@name`).
pub async fn redirect(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState, to: &[u8]) -> Step {
    let next = if to.first() == Some(&b'@') {
        match req.server().named.get(to).copied() {
            Some(id) => named(req, thread, id, to),
            None => missing(req, thread, to),
        }
    } else {
        match uri::safe(to) {
            Some((path, args)) => {
                req.method_is_get |= req.method() != Method::Head;
                internal_redirect(req, thread, path, args.to_vec())
            }
            None => {
                thread.log_error(
                    req,
                    Severity::Error,
                    format_args!("unsafe URI \"{}\" was detected", Bytes(to)),
                );
                Next::Status(404)
            }
        }
    };
    drive(req, conn, thread, next).await
}

async fn drive(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState, mut next: Next) -> Step {
    loop {
        next = match next {
            Next::Server => server_phase(req, conn, thread).await,
            Next::Find => find_phase(req, conn, thread).await,
            Next::Location(loc) => location_phase(req, conn, thread, loc).await,
            Next::Status(status) => special::respond(req, conn, thread, status).await,
            Next::Step(step) => return step,
        };
    }
}

/// The virtual server that the host names, among those of the address.
pub fn choose_server(req: &mut Request) {
    let plan = req.plan.clone();
    let Some(entry) = req.conn.listen_entry(&plan) else { return };
    // Lent out while a regex may fill the request's captures.
    let head = std::mem::take(&mut req.head);
    let host = head.host().unwrap_or_default();
    let found = host::find_server(&entry.names, host, |regex, server| {
        let matched = run_regex(req, &plan, regex, host) == Ok(true);
        req.note(|| Event::NameRegex { regex, server, matched });
        matched
    });
    req.head = head;
    let (server, by) = found.unwrap_or((entry.default_server, NamedBy::Default));
    req.server = server;
    req.note(|| Event::Server { server, by });
    req.loc = req.server().root;
}

async fn server_phase(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState) -> Next {
    req.loc = req.server().root;
    req.valid_location = true;
    let plan = req.plan.clone();
    if let Some(location) = plan.locations.get(req.loc.ix())
        && let Some(program) = &location.program
    {
        match script::run(req, thread, &plan, program) {
            script::End::On { .. } => {}
            script::End::Return(ret) => return do_return(req, conn, thread, ret).await,
            script::End::Status(status) => return Next::Status(status),
        }
    }
    Next::Find
}

async fn find_phase(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState) -> Next {
    let plan = req.plan.clone();
    let Some(server) = plan.servers.get(req.server.ix()) else { return Next::Status(500) };
    let path = std::mem::take(&mut req.uri);
    let mut matched = |regex| run_regex(req, &plan, regex, &path);
    let found = route::find(&plan, server.root, &server.router, &path, &mut matched, req);
    req.uri = path;
    let (loc, redirects) = match found {
        route::Found::Loc(loc) => (loc, false),
        route::Found::AutoRedirect(loc) => (loc, true),
        route::Found::Failed => return Next::Status(500),
    };
    req.loc = loc;
    req.note(|| Event::Location { loc, auto_redirect: redirects, uri: req.uri.clone() });
    if !req.internal && req.location().internal {
        return Next::Status(404);
    }
    keepalive_rules(req);
    if let Some(status) = too_large(req, thread) {
        // An `error_page` must not find it too large again.
        discard(req, conn, thread).await.ok();
        return Next::Status(status);
    }
    if redirects {
        let mut to = Vec::with_capacity(64);
        uri::escape_path(&req.location().name, &mut to);
        if !req.args.is_empty() {
            to.push(b'?');
            to.extend_from_slice(&req.args);
        }
        req.out.set_location(&to);
        return Next::Status(301);
    }
    Next::Location(loc)
}

/// What a location says about keeping the connection.
fn keepalive_rules(req: &mut Request) {
    if !req.keepalive {
        return;
    }
    let loc = req.location();
    let age = crate::rt::clock::unix_millis().saturating_sub(req.conn.started);
    let browser = |is: fn(&[u8]) -> bool| req.head.get(KnownField::UserAgent).is_some_and(is);
    let disable = loc.keepalive_disable;
    if loc.keepalive_timeout.is_zero()
        || req.conn.requests >= loc.keepalive_requests
        || u128::from(age) > loc.keepalive_time.as_millis()
        || (disable.msie6 && req.method() == Method::Post && browser(browser::is_msie6))
        || (disable.safari && browser(browser::is_safari))
    {
        req.keepalive = false;
    }
}

fn too_large(req: &mut Request, thread: &ThreadState) -> Option<u16> {
    let Framing::Length(length) = req.head.framing else { return None };
    let limit = req.location().max_body;
    if req.discard_body || limit == 0 || length <= limit {
        return None;
    }
    thread.log_error(
        req,
        Severity::Error,
        format_args!("client intended to send too large body: {length} bytes"),
    );
    req.expect_tested = true;
    Some(413)
}

/// The settings of a location hold from here on.
pub(super) fn enter(req: &mut Request, loc: LocId) {
    req.loc = loc;
    let limit = req.location().limit_except.as_deref();
    if let Some(limit) = limit.filter(|l| !l.methods.contains(&req.method_text())) {
        req.loc = limit.loc;
    }
    if matches!(req.location().kind, LocMatch::If | LocMatch::LimitExcept) {
        req.note(|| Event::Enter(req.loc));
    }
    if req.location().own_content {
        req.content = req.loc;
    }
    keepalive_rules(req);
}

async fn location_phase(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState, loc: LocId) -> Next {
    enter(req, loc);
    let loc = req.loc;
    req.content = loc;
    let plan = req.plan.clone();
    let Some(location) = plan.locations.get(loc.ix()) else { return Next::Status(500) };
    if let Some(program) = location.program.as_deref().filter(|_| loc != req.server().root) {
        match script::run(req, thread, &plan, program) {
            script::End::On { changed: false } => {}
            script::End::On { changed: true } => return search_again(req, thread),
            script::End::Return(ret) => return do_return(req, conn, thread, ret).await,
            script::End::Status(status) => return Next::Status(status),
        }
    }
    realip::apply(req);
    if req.location().limits.is_some()
        && let Some(status) = limit::refused(req, conn, thread).await
    {
        return Next::Status(status);
    }
    if let Some(status) = gate::refused(req, conn, thread).await {
        return Next::Status(status);
    }
    let Some(location) = plan.locations.get(req.loc.ix()) else { return Next::Status(500) };
    if let Some(tries) = &location.try_files
        && let Some(next) = content::try_files(req, thread, tries)
    {
        return next;
    }
    let Some(said) = plan.locations.get(req.content.ix()) else { return Next::Status(500) };
    req.note(|| Event::Content(req.content));
    match (&said.content, &location.content) {
        (Content::Proxy(_), Content::Proxy(_)) => Next::Step(Step::Proxy(req.loc)),
        (Content::Proxy(_), _) => {
            // An `if` said it, and one after it holds.
            thread.log_error(req, Severity::Alert, format_args!("no upstream configuration"));
            Next::Status(500)
        }
        (Content::Static, _) => content::files(req, conn, thread).await,
        (Content::StubStatus, _) => content::stub_status(req, conn, thread).await,
        (Content::EmptyGif, _) => content::empty_gif(req, conn, thread).await,
        (Content::CheckStatus(format), _) => checks::check_status(req, conn, thread, *format).await,
    }
}

/// A location's `rewrite` made another path: the location of that.
fn search_again(req: &mut Request, thread: &ThreadState) -> Next {
    req.uri_changes = req.uri_changes.saturating_sub(1);
    if req.uri_changes == 0 {
        thread.log_error(
            req,
            Severity::Error,
            format_args!("rewrite or internal redirection cycle while processing \"{}\"", Bytes(&req.uri)),
        );
        return Next::Status(500);
    }
    req.loc = req.server().root;
    Next::Find
}

async fn do_return(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState, ret: &Return) -> Next {
    req.note(|| Event::Return { code: ret.code, text: ret.text.as_ref().map(|t| vars::eval_to_vec(t, req)) });
    if ret.code >= 400 && ret.text.is_none() {
        return Next::Status(ret.code);
    }
    if let Err(next) = discard(req, conn, thread).await {
        return next;
    }
    req.out.status = ret.code;
    let mut text = Vec::new();
    if let Some(template) = &ret.text {
        vars::eval(template, req, &mut text);
    }
    send_text(req, conn, thread, ret.code, None, &text).await
}

/// Answers with a text, or redirects to it.
pub(super) async fn send_text(
    req: &mut Request,
    conn: &mut ServerConn,
    thread: &ThreadState,
    status: u16,
    content_type: Option<&[u8]>,
    text: &[u8],
) -> Next {
    if let Err(next) = discard(req, conn, thread).await {
        return next;
    }
    req.out.status = status;
    if matches!(status, 301 | 302 | 303 | 307 | 308) {
        req.out.set_location(text);
        return Next::Status(status);
    }
    req.out.content_length = Some(text.len() as u64);
    match content_type {
        Some(t) => set(&mut req.out.content_type, t),
        None => content::set_type(req),
    }
    send(req, conn, thread, text).await
}

/// Sends the head and a body that is at hand.
pub(super) async fn send(
    req: &mut Request,
    conn: &mut ServerConn,
    thread: &ThreadState,
    body: &[u8],
) -> Next {
    if let Err(status) = respond::send_head(req, conn, thread) {
        return filtered(req, status);
    }
    respond::send_last(req, conn, body).await.into()
}

/// A filter made the answer another one. 412 begins anew; 416 keeps what the head already says.
pub(super) fn filtered(req: &mut Request, status: u16) -> Next {
    if status != 416 {
        req.out.clear();
    }
    Next::Status(status)
}

/// The body is not wanted. A client that waits for leave to send it is given it, as nginx does; what is there of it
/// already is thrown away. `Err`: what becomes of the request instead.
pub(super) async fn discard(
    req: &mut Request,
    conn: &mut ServerConn,
    thread: &ThreadState,
) -> Result<(), Next> {
    if req.discard_body {
        return Ok(());
    }
    req.discard_body = true;
    if req.head.expect_continue && !req.expect_tested {
        req.expect_tested = true;
        let sent = conn.send_continue(req.location().send_timeout).await;
        sent.map_err(|e| Next::Step(Step::Failed(e)))?;
    }
    if req.has_body() && !conn.body_done() {
        throw_away(req, conn, thread).map_err(Next::Status)?;
    }
    Ok(())
}

/// Drops what is there of the body; `Err`: the status of one that is not well-formed.
fn throw_away(req: &Request, conn: &mut ServerConn, thread: &ThreadState) -> Result<(), u16> {
    match conn.try_discard_body() {
        Err(BodyError::Invalid) => {
            thread.log_error(req, Severity::Error, format_args!("client sent invalid chunked body"));
            Err(400)
        }
        // Whatever else is wrong with the client shows when it is written to.
        _ => Ok(()),
    }
}

pub(super) fn set(place: &mut Vec<u8>, value: &[u8]) {
    place.clear();
    place.extend_from_slice(value);
}

/// Goes through the phases again with another path.
pub(super) fn internal_redirect(
    req: &mut Request,
    thread: &ThreadState,
    path: Vec<u8>,
    args: Vec<u8>,
) -> Next {
    req.uri_changes = req.uri_changes.saturating_sub(1);
    if req.uri_changes == 0 {
        thread.log_error(
            req,
            Severity::Error,
            format_args!(
                "rewrite or internal redirection cycle while internally redirecting to \"{}\"",
                Bytes(&path)
            ),
        );
        return Next::Status(500);
    }
    req.note(|| Event::Redirect { uri: path.clone(), args: args.clone() });
    req.uri = path;
    req.args = args;
    req.gzip_ok = None;
    req.out.vary = false;
    req.internal = true;
    req.valid_unparsed_uri = false;
    req.add_uri_to_alias = false;
    Next::Server
}

/// Goes on in a named location, with the path as it is.
pub(super) fn named(req: &mut Request, thread: &ThreadState, id: LocId, name: &[u8]) -> Next {
    let name = req.plan.locations.get(id.ix()).map_or(name.to_vec(), |l| l.name.to_vec());
    req.uri_changes = req.uri_changes.saturating_sub(1);
    if req.uri_changes == 0 {
        thread.log_error(
            req,
            Severity::Error,
            format_args!(
                "rewrite or internal redirection cycle while redirect to named location \"{}\"",
                Bytes(&name)
            ),
        );
        return Next::Status(500);
    }
    if req.uri.is_empty() {
        thread.log_error(
            req,
            Severity::Error,
            format_args!("empty URI in redirect to named location \"{}\"", Bytes(&name)),
        );
        return Next::Status(500);
    }
    req.internal = true;
    req.note(|| Event::Named(id));
    Next::Location(id)
}

/// A named location that there is not.
pub(super) fn missing(req: &mut Request, thread: &ThreadState, name: &[u8]) -> Next {
    req.uri_changes = req.uri_changes.saturating_sub(1);
    thread.log_error(req, Severity::Error, format_args!("could not find named location \"{}\"", Bytes(name)));
    Next::Status(500)
}
