//! The settings that servers inherit from `http` and locations do not have.

use std::time::Duration;

use super::family::family;
use super::{Cx, set};
use crate::source::Dir;

family! {
    /// `ngx_http_core_module`: what may stand in `http` and `server`.
    pub struct Srv {
        "client_header_timeout" => header_timeout: Duration = set::msec, Duration::from_secs(60);
        /// Bytes.
        "client_header_buffer_size" => header_buffer: usize = set::size, 1024;
        /// How many, and the bytes of each.
        "large_client_header_buffers" => large_buffers: (usize, usize) = set::buffers, (4, 8192);
        "max_headers" => max_headers: u64 = set::num, 1000;
        "ignore_invalid_headers" => ignore_invalid_headers: bool = set::flag, true;
        "merge_slashes" => merge_slashes: bool = set::flag, true;
        "underscores_in_headers" => underscores_in_headers: bool = set::flag, false;
        /// Bytes; only compared with `large_client_header_buffers`.
        "connection_pool_size" => connection_pool_size: usize = set::checked(set::size, pool_size), 512;
        /// Bytes; nothing depends on it.
        "request_pool_size" => request_pool_size: usize = set::checked(set::size, pool_size), 4096;
        "http2" => http2: bool = set::flag, false;
        /// Requests at once on a connection.
        "http2_max_concurrent_streams" => http2_streams: u64 = set::num, 128;
        /// Bytes of a body that may come before it is asked for.
        "http2_body_preread_size" => http2_preread: usize = set::checked(set::size, preread), 64 << 10;
        /// Bytes; nothing depends on it.
        "http2_recv_buffer_size" => http2_recv_buffer: usize = said(set::size, recv_buffer), 256 << 10;
        /// Bytes; nothing depends on it.
        "http2_pool_size" => http2_pool_size: usize = set::checked(set::size, pool_size), 4096;
        /// A power of two; nothing depends on it.
        "http2_streams_index_size" => http2_streams_index: u64 = said(set::num, power_of_two), 32;
        /// What nginx had before 1.19.7; its warning is all that is left of it.
        "http2_idle_timeout" => http2_idle_timeout: () = obsolete("keepalive_timeout"), ();
        "http2_recv_timeout" => http2_recv_timeout: () = obsolete("client_header_timeout"), ();
        "http2_max_requests" => http2_max_requests: () = obsolete("keepalive_requests"), ();
        "http2_max_field_size" => http2_max_field_size: () = obsolete("large_client_header_buffers"), ();
        "http2_max_header_size" => http2_max_header_size: () = obsolete("large_client_header_buffers"), ();
        "http2_max_concurrent_pushes" => http2_max_pushes: () = obsolete(""), ();
    }
}

/// The largest window of flow control (RFC 9113, section 6.9.1).
const MAX_WINDOW: usize = (1 << 31) - 1;

fn preread(size: &usize) -> Option<String> {
    (*size > MAX_WINDOW).then(|| format!("the maximum body preread buffer size is {MAX_WINDOW}"))
}

/// nginx keeps 16 bytes of it for itself.
fn recv_buffer(size: &usize) -> Option<&'static str> {
    (*size <= 16).then_some("value is too small")
}

fn power_of_two(n: &u64) -> Option<&'static str> {
    (!n.is_power_of_two()).then_some("must be a power of two")
}

/// A setter with one more condition, which is said of the directive.
fn said<T>(
    set: impl Fn(&mut Cx<'_>, Dir<'_>, &mut Option<T>),
    post: impl Fn(&T) -> Option<&'static str>,
) -> impl Fn(&mut Cx<'_>, Dir<'_>, &mut Option<T>) {
    move |cx, d, slot| {
        let was = slot.is_some();
        set(cx, d, slot);
        if !was && let Some(wrong) = slot.as_ref().and_then(&post) {
            cx.says(d, wrong);
        }
    }
}

/// A directive that nginx does not carry out any more; `instead`: the one to be used, if there is one.
pub(super) fn obsolete(instead: &'static str) -> impl Fn(&mut Cx<'_>, Dir<'_>, &mut Option<()>) {
    move |cx, d, _| {
        let name = d.name();
        cx.warn(
            d,
            match instead {
                "" => format!("the \"{name}\" directive is obsolete, ignored"),
                _ => format!("the \"{name}\" directive is obsolete, use the \"{instead}\" directive instead"),
            },
        );
    }
}

/// nginx's pools have a least size and are multiples of 16.
fn pool_size(size: &usize) -> Option<String> {
    if *size < 112 {
        return Some("the pool size must be no less than 112".to_owned());
    }
    (!size.is_multiple_of(16)).then(|| "the pool size must be a multiple of 16".to_owned())
}
