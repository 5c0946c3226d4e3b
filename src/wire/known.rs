//! The field names that code asks for, as ids: a name is looked up once, when a head is read.

macro_rules! known {
    ($($id:ident $name:literal)*) => {
        /// A field name that is known; [`KnownField::Other`] stands for all others.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[repr(u8)]
        pub enum KnownField { #[default] Other, $($id),* }

        const IDS: &[KnownField] = &[KnownField::Other, $(KnownField::$id),*];
        const NAMES: &[&str] = &["", $($name),*];
    };
}

known! {
    Accept "Accept"
    AcceptCharset "Accept-Charset"
    AcceptEncoding "Accept-Encoding"
    AcceptLanguage "Accept-Language"
    AcceptRanges "Accept-Ranges"
    Age "Age"
    Allow "Allow"
    Authorization "Authorization"
    CacheControl "Cache-Control"
    Connection "Connection"
    ContentDisposition "Content-Disposition"
    ContentEncoding "Content-Encoding"
    ContentLanguage "Content-Language"
    ContentLength "Content-Length"
    ContentLocation "Content-Location"
    ContentRange "Content-Range"
    ContentSecurityPolicy "Content-Security-Policy"
    ContentType "Content-Type"
    Cookie "Cookie"
    Date "Date"
    Depth "Depth"
    Destination "Destination"
    Dnt "DNT"
    ETag "ETag"
    Expect "Expect"
    Expires "Expires"
    Forwarded "Forwarded"
    From "From"
    Host "Host"
    Http2Settings "HTTP2-Settings"
    IfMatch "If-Match"
    IfModifiedSince "If-Modified-Since"
    IfNoneMatch "If-None-Match"
    IfRange "If-Range"
    IfUnmodifiedSince "If-Unmodified-Since"
    KeepAlive "Keep-Alive"
    LastModified "Last-Modified"
    Link "Link"
    Location "Location"
    MaxForwards "Max-Forwards"
    Origin "Origin"
    Overwrite "Overwrite"
    Pragma "Pragma"
    Priority "Priority"
    ProxyAuthenticate "Proxy-Authenticate"
    ProxyAuthorization "Proxy-Authorization"
    ProxyConnection "Proxy-Connection"
    Range "Range"
    Referer "Referer"
    Refresh "Refresh"
    RetryAfter "Retry-After"
    SecFetchDest "Sec-Fetch-Dest"
    SecFetchMode "Sec-Fetch-Mode"
    SecFetchSite "Sec-Fetch-Site"
    SecFetchUser "Sec-Fetch-User"
    SecWebSocketAccept "Sec-WebSocket-Accept"
    SecWebSocketExtensions "Sec-WebSocket-Extensions"
    SecWebSocketKey "Sec-WebSocket-Key"
    SecWebSocketProtocol "Sec-WebSocket-Protocol"
    SecWebSocketVersion "Sec-WebSocket-Version"
    Server "Server"
    SetCookie "Set-Cookie"
    Status "Status"
    StrictTransportSecurity "Strict-Transport-Security"
    Te "TE"
    Trailer "Trailer"
    TransferEncoding "Transfer-Encoding"
    Upgrade "Upgrade"
    UpgradeInsecureRequests "Upgrade-Insecure-Requests"
    UserAgent "User-Agent"
    Vary "Vary"
    Via "Via"
    Warning "Warning"
    WwwAuthenticate "WWW-Authenticate"
    XAccelBuffering "X-Accel-Buffering"
    XAccelCharset "X-Accel-Charset"
    XAccelExpires "X-Accel-Expires"
    XAccelLimitRate "X-Accel-Limit-Rate"
    XAccelRedirect "X-Accel-Redirect"
    XForwardedFor "X-Forwarded-For"
    XForwardedHost "X-Forwarded-Host"
    XForwardedProto "X-Forwarded-Proto"
    XPad "X-Pad"
    XPoweredBy "X-Powered-By"
    XRealIp "X-Real-IP"
    XRequestId "X-Request-ID"
}

const LENGTHS: usize = 32;
const LETTERS: usize = 26;

/// The first id of each length and first letter; `NEXT` chains those that share both.
static HEADS: [[u8; LETTERS]; LENGTHS] = TABLES.0;
static NEXT: [u8; NAMES.len()] = TABLES.1;

const TABLES: ([[u8; LETTERS]; LENGTHS], [u8; NAMES.len()]) = {
    let mut heads = [[0_u8; LETTERS]; LENGTHS];
    let mut next = [0_u8; NAMES.len()];
    let mut id = NAMES.len() - 1;
    while id > 0 {
        let name = NAMES[id].as_bytes();
        let letter = (name[0].to_ascii_lowercase() - b'a') as usize;
        next[id] = heads[name.len()][letter];
        heads[name.len()][letter] = id as u8;
        id -= 1;
    }
    (heads, next)
};

impl KnownField {
    /// Every known name, `Other` left out.
    pub fn all() -> &'static [Self] {
        &IDS[1..]
    }

    /// The usual spelling; empty for `Other`.
    pub fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// The id of a name, whatever its case.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let Some(first) = name.first() else { return Self::Other };
        let letter = usize::from((first | 0x20).wrapping_sub(b'a'));
        let Some(mut id) = HEADS.get(name.len()).and_then(|row| row.get(letter)).copied() else {
            return Self::Other;
        };
        while id != 0 {
            let at = usize::from(id);
            if same(NAMES[at].as_bytes(), name) {
                return IDS[at];
            }
            id = NEXT[at];
        }
        Self::Other
    }

    /// This id's bit in a set of ids.
    #[inline]
    pub(super) const fn bit(self) -> u128 {
        1 << (self as u8)
    }
}

/// Whether two names of one length are the same whatever their case. Most are spelt as usual; a look at whole words tells
/// most others apart.
#[inline]
fn same(known: &[u8], name: &[u8]) -> bool {
    const CASE: u64 = 0x2020_2020_2020_2020;
    if known == name {
        return true;
    }
    let (known_words, known_rest) = known.as_chunks::<8>();
    let (words, rest) = name.as_chunks::<8>();
    let differs =
        |(a, b): (&[u8; 8], &[u8; 8])| (u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b)) & !CASE != 0;
    if known_words.iter().zip(words).any(differs) {
        return false;
    }
    if known_rest.iter().zip(rest).any(|(a, b)| (a ^ b) & !0x20 != 0) {
        return false;
    }
    // Bytes that differ in that bit alone need not be letters.
    known.eq_ignore_ascii_case(name)
}

const _: () = assert!(NAMES.len() <= 128, "a set of ids is one u128");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for &id in KnownField::all() {
            let name = id.name();
            assert_eq!(KnownField::of(name.as_bytes()), id, "{name}");
            assert_eq!(KnownField::of(name.to_lowercase().as_bytes()), id, "{name}");
            assert_eq!(KnownField::of(name.to_uppercase().as_bytes()), id, "{name}");
        }
    }

    #[test]
    fn near_misses_are_other() {
        for name in ["", "Hos", "Hosts", "Host ", "hOsT\0", "Content_Length", "\u{e9}", "-", "X"] {
            assert_eq!(KnownField::of(name.as_bytes()), KnownField::Other, "{name:?}");
        }
        assert_eq!(KnownField::of(&[b'a'; 4000]), KnownField::Other);
    }
}
