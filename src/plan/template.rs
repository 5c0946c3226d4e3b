//! Text with variables in it, and the regexes that fill them.

use super::{RegexId, SlotId};

/// `"literal$var…"`, ready to be evaluated by `vars`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Text(Box<[u8]>),
    Var(Var),
}

impl Template {
    /// A template without variables.
    pub fn text(bytes: impl Into<Box<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self { parts: if bytes.is_empty() { Vec::new() } else { vec![Part::Text(bytes)] } }
    }

    /// The whole text when there is no variable in it.
    pub fn as_text(&self) -> Option<&[u8]> {
        match &self.parts[..] {
            [] => Some(b""),
            [Part::Text(t)] => Some(t),
            _ => None,
        }
    }
}

/// A variable, resolved when the configuration is compiled: no look-up by name while serving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Var {
    /// A fixed variable of nginx, by its row in `vars`' table (see [`VarId`]).
    Fixed(VarId),
    /// `$http_NAME`: the name lower-case with `-`, to be compared without regard to case.
    Http(Box<[u8]>),
    /// `$sent_http_NAME`
    SentHttp(Box<[u8]>),
    /// `$sent_trailer_NAME`
    SentTrailer(Box<[u8]>),
    /// `$upstream_http_NAME`
    UpstreamHttp(Box<[u8]>),
    /// `$upstream_trailer_NAME`
    UpstreamTrailer(Box<[u8]>),
    /// `$upstream_cookie_NAME`
    UpstreamCookie(Box<[u8]>),
    /// `$cookie_NAME`
    Cookie(Box<[u8]>),
    /// `$arg_NAME`
    Arg(Box<[u8]>),
    /// `$1` … `$9`: a capture of the request's last regex.
    Capture(u8),
    /// A variable that the configuration made.
    Slot(SlotId),
}

macro_rules! fixed_vars {
    ($($id:ident $name:literal)*) => {
        /// nginx's fixed variables that tenrec has.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum VarId { $($id),* }

        impl VarId {
            /// Every fixed variable, in the order of the table.
            pub const ALL: &'static [VarId] = &[$(VarId::$id),*];

            /// The name without `$`.
            pub fn name(self) -> &'static str {
                match self { $(VarId::$id => $name),* }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(VarId::$id),)* _ => None }
            }
        }
    };
}

fixed_vars! {
    Args "args"
    BinaryRemoteAddr "binary_remote_addr"
    BodyBytesSent "body_bytes_sent"
    BytesSent "bytes_sent"
    Connection "connection"
    ConnectionRequests "connection_requests"
    ConnectionTime "connection_time"
    ConnectionsActive "connections_active"
    ConnectionsReading "connections_reading"
    ConnectionsWaiting "connections_waiting"
    ConnectionsWriting "connections_writing"
    ContentLength "content_length"
    ContentType "content_type"
    DocumentRoot "document_root"
    DocumentUri "document_uri"
    GzipRatio "gzip_ratio"
    Host "host"
    Hostname "hostname"
    Http2 "http2"
    Https "https"
    InvalidReferer "invalid_referer"
    IsArgs "is_args"
    IsRequestPort "is_request_port"
    LimitConnStatus "limit_conn_status"
    LimitRate "limit_rate"
    LimitReqStatus "limit_req_status"
    Msec "msec"
    NginxVersion "nginx_version"
    Pid "pid"
    Pipe "pipe"
    ProxyAddXForwardedFor "proxy_add_x_forwarded_for"
    ProxyHost "proxy_host"
    ProxyPort "proxy_port"
    ProxyProtocolAddr "proxy_protocol_addr"
    ProxyProtocolPort "proxy_protocol_port"
    ProxyProtocolServerAddr "proxy_protocol_server_addr"
    ProxyProtocolServerPort "proxy_protocol_server_port"
    QueryString "query_string"
    RealipRemoteAddr "realip_remote_addr"
    RealipRemotePort "realip_remote_port"
    RealpathRoot "realpath_root"
    RemoteAddr "remote_addr"
    RemotePort "remote_port"
    RemoteUser "remote_user"
    Request "request"
    RequestBody "request_body"
    RequestBodyFile "request_body_file"
    RequestCompletion "request_completion"
    RequestFilename "request_filename"
    RequestId "request_id"
    RequestLength "request_length"
    RequestMethod "request_method"
    RequestPort "request_port"
    RequestTime "request_time"
    RequestUri "request_uri"
    Scheme "scheme"
    ServerAddr "server_addr"
    ServerName "server_name"
    ServerPort "server_port"
    ServerProtocol "server_protocol"
    SslAlpnProtocol "ssl_alpn_protocol"
    SslCipher "ssl_cipher"
    SslCiphers "ssl_ciphers"
    SslClientCert "ssl_client_cert"
    SslClientEscapedCert "ssl_client_escaped_cert"
    SslClientFingerprint "ssl_client_fingerprint"
    SslClientIDn "ssl_client_i_dn"
    SslClientIDnLegacy "ssl_client_i_dn_legacy"
    SslClientRawCert "ssl_client_raw_cert"
    SslClientSDn "ssl_client_s_dn"
    SslClientSDnLegacy "ssl_client_s_dn_legacy"
    SslClientSerial "ssl_client_serial"
    SslClientSigalg "ssl_client_sigalg"
    SslClientVEnd "ssl_client_v_end"
    SslClientVRemain "ssl_client_v_remain"
    SslClientVStart "ssl_client_v_start"
    SslClientVerify "ssl_client_verify"
    SslCurve "ssl_curve"
    SslCurves "ssl_curves"
    SslEarlyData "ssl_early_data"
    SslEchOuterServerName "ssl_ech_outer_server_name"
    SslEchStatus "ssl_ech_status"
    SslProtocol "ssl_protocol"
    SslServerName "ssl_server_name"
    SslSessionId "ssl_session_id"
    SslSessionReused "ssl_session_reused"
    SslSigalg "ssl_sigalg"
    SslSigalgs "ssl_sigalgs"
    Status "status"
    StickyPeer "sticky_peer"
    StickyStatus "sticky_status"
    TcpinfoRcvSpace "tcpinfo_rcv_space"
    TcpinfoRtt "tcpinfo_rtt"
    TcpinfoRttvar "tcpinfo_rttvar"
    TcpinfoSndCwnd "tcpinfo_snd_cwnd"
    TimeIso8601 "time_iso8601"
    TimeLocal "time_local"
    UpstreamAddr "upstream_addr"
    UpstreamBytesReceived "upstream_bytes_received"
    UpstreamBytesSent "upstream_bytes_sent"
    UpstreamCacheStatus "upstream_cache_status"
    UpstreamConnectTime "upstream_connect_time"
    UpstreamHeaderTime "upstream_header_time"
    UpstreamResponseLength "upstream_response_length"
    UpstreamResponseTime "upstream_response_time"
    UpstreamStatus "upstream_status"
    Uri "uri"
}

/// A compiled regex of the configuration.
pub struct Regex {
    /// The pattern as written, without `~` or `~*`.
    pub pattern: Box<str>,
    /// Written with `~*`.
    pub caseless: bool,
    pub code: pcre2::bytes::Regex,
    /// Named groups: group number and the slot it fills.
    pub names: Vec<(usize, SlotId)>,
    /// Capturing groups, the whole match not counted.
    pub groups: usize,
}

impl std::fmt::Debug for Regex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Regex").field("pattern", &self.pattern).finish_non_exhaustive()
    }
}

/// A regex in use at a place, with what to do about case already in the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegexUse {
    pub regex: RegexId,
}
