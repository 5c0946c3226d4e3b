//! The settings that servers inherit from `http` and locations do not have.

use std::time::Duration;

use super::family::family;
use super::set;

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
    }
}

/// nginx's pools have a least size and are multiples of 16.
fn pool_size(size: &usize) -> Option<String> {
    if *size < 112 {
        return Some("the pool size must be no less than 112".to_owned());
    }
    (!size.is_multiple_of(16)).then(|| "the pool size must be a multiple of 16".to_owned())
}
