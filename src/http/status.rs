//! Status lines and nginx's built-in pages.

use crate::plan::ServerTokens;

/// The version of nginx whose behaviour this is: an unchanged file keeps its answers byte for byte.
pub const COMPATIBLE_VERSION: &str = "1.31.5";
/// What `Server` and error pages show with `server_tokens on` and `build`.
pub const SERVER_FULL: &str = "nginx/1.31.5";
/// … and with `server_tokens off`.
pub const SERVER_SHORT: &str = "nginx";

/// The name that `server_tokens` allows to be shown.
pub fn server_name(tokens: ServerTokens) -> &'static str {
    match tokens {
        ServerTokens::On | ServerTokens::Build => SERVER_FULL,
        ServerTokens::Off => SERVER_SHORT,
    }
}

/// `200 OK`; `None` for a status that nginx has no words for: it is sent as the number and a space.
pub fn line(status: u16) -> Option<&'static str> {
    Some(match status {
        200 => "200 OK",
        201 => "201 Created",
        202 => "202 Accepted",
        204 => "204 No Content",
        206 => "206 Partial Content",
        301 => "301 Moved Permanently",
        302 => "302 Moved Temporarily",
        303 => "303 See Other",
        304 => "304 Not Modified",
        307 => "307 Temporary Redirect",
        308 => "308 Permanent Redirect",
        400 => "400 Bad Request",
        401 => "401 Unauthorized",
        402 => "402 Payment Required",
        403 => "403 Forbidden",
        404 => "404 Not Found",
        405 => "405 Not Allowed",
        406 => "406 Not Acceptable",
        407 => "407 Proxy Authentication Required",
        408 => "408 Request Time-out",
        409 => "409 Conflict",
        410 => "410 Gone",
        411 => "411 Length Required",
        412 => "412 Precondition Failed",
        413 => "413 Request Entity Too Large",
        414 => "414 Request-URI Too Large",
        415 => "415 Unsupported Media Type",
        416 => "416 Requested Range Not Satisfiable",
        421 => "421 Misdirected Request",
        429 => "429 Too Many Requests",
        500 => "500 Internal Server Error",
        501 => "501 Not Implemented",
        502 => "502 Bad Gateway",
        503 => "503 Service Temporarily Unavailable",
        504 => "504 Gateway Time-out",
        505 => "505 HTTP Version Not Supported",
        507 => "507 Insufficient Storage",
        _ => return None,
    })
}
