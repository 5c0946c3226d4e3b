//! The head of a peer's answer, turned into the one that the client gets.

use std::fmt::Arguments;

use super::head::FieldSet;
use super::{redirect, rewrite};
use crate::http::OutHead;
use crate::plan::{Plan, Proxy, ProxyRedirect};
use crate::sticky::Change;
use crate::values;
use crate::vars::Source;
use crate::wire::{KnownField as K, ResponseHead};

/// What a location does to every answer's head, worked out once.
#[derive(Debug)]
pub(super) struct AnswerPlan {
    hidden: FieldSet,
    /// `proxy_ignore_headers`
    ignored: FieldSet,
    /// `proxy_redirect` has rules.
    redirects: bool,
}

/// What the peer's head asks of the proxy itself (`X-Accel-*`).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) buffering: Option<bool>,
    pub(super) limit_rate: Option<u64>,
}

impl AnswerPlan {
    pub(super) fn new(proxy: &Proxy) -> Self {
        let mut hidden: FieldSet = proxy.hide.iter().collect();
        if !proxy.pass_server {
            hidden.insert(b"Server");
        }
        if !proxy.pass_date {
            hidden.insert(b"Date");
        }
        let redirects = matches!(&proxy.redirect, ProxyRedirect::Rules(r) if !r.is_empty());
        Self { hidden, ignored: proxy.ignore_headers.iter().collect(), redirects }
    }

    pub(super) fn hides(&self, id: K, name: &[u8]) -> bool {
        self.hidden.contains(id, name)
    }

    /// `X-Accel-*`, for which it does not matter that they are hidden.
    pub(super) fn orders(&self, head: &ResponseHead) -> Orders {
        let mut orders = Orders::default();
        for field in head.fields.iter().filter(|f| !self.ignored.contains(f.id, b"")) {
            let value = head.text(field.value);
            match field.id {
                K::XAccelBuffering if value.eq_ignore_ascii_case(b"no") => orders.buffering = Some(false),
                K::XAccelBuffering if value.eq_ignore_ascii_case(b"yes") => orders.buffering = Some(true),
                K::XAccelLimitRate if orders.limit_rate.is_none() => {
                    orders.limit_rate = values::number(value)
                }
                _ => {}
            }
        }
        orders
    }

    /// `X-Accel-Redirect`: a URI or `@name` that answers instead.
    pub(super) fn redirect<'h>(&self, head: &'h ResponseHead) -> Option<&'h [u8]> {
        head.get(K::XAccelRedirect).filter(|_| !self.ignored.contains(K::XAccelRedirect, b""))
    }

    /// Fills `out`. `cookie` sees each `Set-Cookie` value after the location's rules and says what becomes of it. `warn`
    /// gets nginx's complaints.
    #[expect(clippy::too_many_arguments, reason = "one call, and each is another party to an answer")]
    pub(super) fn fill<S: Source>(
        &self,
        head: &ResponseHead,
        proxy: &Proxy,
        plan: &Plan,
        source: &S,
        out: &mut OutHead,
        mut cookie: impl FnMut(&[u8], &mut Vec<u8>) -> Change,
        mut warn: impl FnMut(Arguments<'_>),
    ) {
        out.status = head.status;
        out.status_line.clear();
        out.status_line.extend_from_slice(head.status_line());
        out.content_length = head.content_length;
        out.has_server = !self.hides(K::Server, b"Server");
        out.has_date = !self.hides(K::Date, b"Date");
        let mut seen = 0_u128;
        for field in &head.fields {
            let (name, value) = (head.text(field.name), head.text(field.value));
            if sent_once(field.id) {
                let bit = 1_u128 << (field.id as u8);
                if seen & bit != 0 {
                    let first = head.get(field.id).unwrap_or_default();
                    warn(format_args!(
                        "upstream sent duplicate header line: \"{}: {}\", previous value: \"{}: {}\", ignored",
                        name.escape_ascii(),
                        value.escape_ascii(),
                        field.id.name(),
                        first.escape_ascii()
                    ));
                    continue;
                }
                seen |= bit;
            }
            if self.hides(field.id, name) {
                continue;
            }
            match field.id {
                K::ContentLength | K::Connection | K::KeepAlive | K::TransferEncoding => {}
                K::ContentType => {
                    out.content_type.clear();
                    out.content_type.extend_from_slice(value);
                }
                K::LastModified => {
                    out.last_modified_field = Some(out.push(name, value));
                    out.last_modified = values::http_date(value);
                }
                K::ETag => out.etag = Some(out.push(name, value)),
                K::ContentEncoding => out.content_encoding = Some(out.push(name, value)),
                K::AcceptRanges if proxy.force_ranges => {}
                K::AcceptRanges => out.accept_ranges = Some(out.push(name, value)),
                K::Location if self.redirects => {
                    let mut new = value.to_vec();
                    let rewritten = redirect::url(&mut new, 0, &proxy.redirect, plan, source);
                    let ix = out.push(name, &new);
                    if rewritten {
                        out.location = Some(ix);
                    }
                }
                K::Refresh if self.redirects => {
                    let mut new = value.to_vec();
                    if let Some(at) = rewrite::refresh_url(value) {
                        redirect::url(&mut new, at, &proxy.redirect, plan, source);
                    }
                    out.push(name, &new);
                }
                K::SetCookie => {
                    let ruled = redirect::cookie(value, proxy, plan, source);
                    let value = ruled.as_deref().unwrap_or(value);
                    let mut change = Change::Keep;
                    let field = out.push_with(name, |to| {
                        change = cookie(value, to);
                        if change == Change::Keep {
                            to.extend_from_slice(value);
                        }
                    });
                    if change == Change::Drop {
                        out.hide(field);
                    }
                }
                _ => {
                    out.push(name, value);
                }
            }
        }
    }

    /// What an `X-Accel-Redirect` leaves of the peer's head.
    pub(super) fn keep_for_redirect(head: &ResponseHead, out: &mut OutHead) {
        for field in &head.fields {
            let (name, value) = (head.text(field.name), head.text(field.value));
            match field.id {
                K::ContentType => out.content_type = value.to_vec(),
                K::SetCookie | K::ContentDisposition | K::CacheControl | K::Expires | K::AcceptRanges => {
                    out.push(name, value);
                }
                _ => {}
            }
        }
    }
}

/// Fields of which nginx takes the first only.
fn sent_once(id: K) -> bool {
    matches!(
        id,
        K::Status
            | K::ContentType
            | K::Date
            | K::LastModified
            | K::ETag
            | K::Server
            | K::Location
            | K::Refresh
            | K::Expires
            | K::XAccelExpires
            | K::XAccelRedirect
            | K::XAccelLimitRate
    )
}
