//! A status in place of an answer: its `error_page`, nginx's built-in page, or nothing at all.

use super::phases::{Next, Step, discard, internal_redirect, missing, named, send, set};
use super::{Event, Request, ThreadState, browser, pages, uri};
use crate::plan::ErrorTo;
use crate::vars;
use crate::wire::{KnownField, Method, ServerConn};

/// Ends the request with a status.
pub(super) async fn respond(
    req: &mut Request,
    conn: &mut ServerConn,
    thread: &ThreadState,
    status: u16,
) -> Next {
    req.note(|| Event::Status(status));
    if req.head_sent {
        // Too late for another answer: the connection ends.
        req.keepalive = false;
        return Next::Step(Step::Close);
    }
    if matches!(status, 408 | 444 | 499) {
        // Not answered: nginx closes, and logs the status.
        req.out.status = status;
        return Next::Step(Step::Close);
    }
    req.err_status = status;
    if matches!(status, 400 | 413 | 414 | 495..=497 | 500 | 501) {
        req.keepalive = false;
    }
    if matches!(status, 400 | 495..=497) {
        req.lingering = false;
    }
    req.out.content_type.clear();
    if !req.error_page && req.uri_changes != 0 {
        let plan = req.plan.clone();
        let pages = plan.locations.get(req.loc.ix()).map_or(&[][..], |l| &l.error_pages);
        if !pages.is_empty() && !req.location().recursive_error_pages {
            req.error_page = true;
        }
        if let Some(page) = pages.iter().find(|p| p.status == status) {
            return error_page(req, conn, thread, page).await;
        }
    }
    builtin(req, conn, thread, status).await
}

async fn error_page(
    req: &mut Request,
    conn: &mut ServerConn,
    thread: &ThreadState,
    page: &crate::plan::ErrorPage,
) -> Next {
    req.note(|| Event::ErrorPage { status: page.status, code: page.overwrite });
    if let Some(overwrite) = page.overwrite {
        req.expect_tested |= overwrite != 0 && overwrite != 200;
        req.err_status = overwrite;
    }
    let to = match &page.to {
        ErrorTo::Named(id) => return named(req, thread, *id, b""),
        ErrorTo::NamedMissing(name) => return missing(req, thread, name),
        ErrorTo::Uri(template) => vars::eval_to_vec(template, req),
    };
    if to.first() == Some(&b'/') {
        let (path, args) = uri::split_args(&to);
        req.method_is_get = req.method() != Method::Head;
        return internal_redirect(req, thread, path.to_vec(), args.to_vec());
    }
    if to.first() == Some(&b'@') {
        return match req.server().named.get(&to[..]).copied() {
            Some(id) => named(req, thread, id, &to),
            None => missing(req, thread, &to),
        };
    }
    if !matches!(page.overwrite, Some(301 | 302 | 303 | 307 | 308)) {
        req.err_status = 302;
    }
    req.out.set_location(&to);
    builtin(req, conn, thread, req.err_status).await
}

/// nginx's own page.
async fn builtin(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState, status: u16) -> Next {
    req.note(|| Event::Page(status));
    req.expect_tested = true;
    if discard(req, conn, thread).await.is_err() {
        req.keepalive = false;
    }
    if matches!(status, 494..=497) {
        req.err_status = 400;
    }
    let agent = req.head.get(KnownField::UserAgent).unwrap_or_default();
    if matches!(status, 301 | 302) && req.location().msie_refresh && browser::is_msie(agent) {
        return refresh(req, conn, thread).await;
    }
    let mut body = Vec::new();
    let agent = req.head.get(KnownField::UserAgent).unwrap_or_default();
    let pad = req.location().msie_padding && browser::wants_padding(agent);
    if pages::page(status, req.location().server_tokens, pad, &mut body) {
        set(&mut req.out.content_type, b"text/html");
    }
    req.out.content_length = Some(body.len() as u64);
    req.out.clear_entity();
    send(req, conn, thread, &body).await
}

/// `msie_refresh`: a page that leads on, in place of a redirect.
async fn refresh(req: &mut Request, conn: &mut ServerConn, thread: &ThreadState) -> Next {
    let mut body = b"<html><head><meta http-equiv=\"Refresh\" content=\"0; URL=".to_vec();
    if let Some(location) = req.out.location.take() {
        uri::escape_refresh(req.out.value(location), &mut body);
        req.out.hide(location);
    }
    body.extend_from_slice(b"\"></head><body></body></html>\r\n");
    req.err_status = 200;
    set(&mut req.out.content_type, b"text/html");
    req.out.content_length = Some(body.len() as u64);
    req.out.clear_entity();
    send(req, conn, thread, &body).await
}
