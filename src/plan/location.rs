//! Locations: what happens to a request that was routed here. Every value is already inherited.

use std::collections::HashMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::diag::FileId;

use super::{LocId, LocRouter, LogFileId, LogFormatId, Proxy, ServerId, Template};

/// How a location was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocMatch {
    /// The server block itself.
    Server,
    Exact,
    Prefix,
    /// `^~`
    PrefixNoRegex,
    Regex,
    Named,
    /// An `if` inside a server or a location: what holds there once its condition did.
    If,
    /// A `limit_except` inside a location: what holds for the methods that it does not name.
    LimitExcept,
}

/// One location, or a server block seen as one: what is its own. What it inherits or may hand on is in `set`, shared
/// by all locations that change nothing of it, and read as if it were here (`loc.max_body`).
#[derive(Debug, Clone)]
pub struct Location {
    pub kind: LocMatch,
    /// The text after the modifier (`/a`, `\.php$`, `@x`).
    pub name: Box<[u8]>,
    pub server: ServerId,
    /// Its `{` in the configuration.
    pub at: (FileId, u32),
    /// Nested locations.
    pub router: LocRouter,
    pub content: Content,
    /// `content` was said here. An `if` that does not say it has its location's, and goes on with what would have
    /// answered there.
    pub own_content: bool,
    /// `limit_except`: requests of other methods have the settings of a location of their own.
    pub limit_except: Option<Box<LimitExcept>>,
    /// `set`, `if`, `rewrite` …: it runs before `content`. Those of an `if` are its location's.
    pub program: Option<Box<super::Program>>,
    /// A prefix location ending in `/` with `proxy_pass`: a request for it without the `/` is redirected (301).
    pub auto_redirect: bool,
    /// Not inherited.
    pub try_files: Option<TryFiles>,
    pub set: Arc<LocSet>,
}

impl Deref for Location {
    type Target = LocSet;

    fn deref(&self) -> &LocSet {
        &self.set
    }
}

/// `limit_except`
#[derive(Debug, Clone)]
pub struct LimitExcept {
    /// The methods that it does not concern.
    pub methods: Vec<&'static [u8]>,
    pub loc: LocId,
}

/// The settings that locations inherit.
#[derive(Debug, Clone)]
pub struct LocSet {
    pub internal: bool,
    /// `allow` and `deny`, in order.
    pub gate: Vec<GateRule>,
    /// `valid_referers`; `None`: all are welcome.
    pub referers: Option<Box<super::Referers>>,
    /// `limit_req` and `limit_conn`; `None`: none holds.
    pub limits: Option<Box<super::Limits>>,
    /// `auth_basic` and its file; `None`: off.
    pub basic: Option<Box<BasicAuth>>,
    /// `auth_request`; `None`: off.
    pub auth_request: Option<Box<AuthRequest>>,
    /// `satisfy any`: one of the checks will do.
    pub satisfy_any: bool,
    /// `auth_delay`: how long an answer of 401 waits.
    pub auth_delay: Duration,
    /// `set_real_ip_from` and its kin.
    pub real_ip: Option<RealIp>,
    pub root: Root,
    pub index: Vec<Template>,
    pub error_pages: Vec<ErrorPage>,
    pub recursive_error_pages: bool,
    /// Lower-case extension to type.
    pub types: Arc<Types>,
    pub default_type: Box<[u8]>,
    pub add_headers: Vec<AddHeader>,
    pub add_trailers: Vec<AddHeader>,
    /// `expires`.
    pub expires: Expires,
    pub etag: bool,
    /// `gzip`, `gunzip`, `gzip_static`; `None`: all off.
    pub encoding: Option<Box<super::Encoding>>,
    pub if_modified_since: IfModifiedSince,
    pub server_tokens: ServerTokens,
    pub absolute_redirect: bool,
    pub server_name_in_redirect: bool,
    pub port_in_redirect: bool,
    pub msie_padding: bool,
    /// Redirects become pages for Internet Explorer.
    pub msie_refresh: bool,
    /// `max_ranges`; `None`: any number, as long as the parts cost no more than the whole.
    pub max_ranges: Option<u64>,
    pub log_not_found: bool,
    pub log_subrequest: bool,
    /// `resolver`: who is asked what the names mean that variables make; `None`: nobody.
    pub resolver: Option<super::ResolverId>,
    /// `resolver_timeout`, default 30 s; 0: no limit.
    pub resolver_timeout: Duration,
    pub rewrite_log: bool,
    pub uninitialized_variable_warn: bool,

    /// `client_max_body_size`; 0: no limit. Default 1m.
    pub max_body: u64,
    /// `client_body_buffer_size`, default 16k.
    pub body_buffer: usize,
    /// `client_body_timeout`, default 60 s.
    pub body_timeout: Duration,
    pub body_temp_path: PathBuf,
    pub body_in_file: BodyInFile,
    /// `send_timeout`, default 60 s.
    pub send_timeout: Duration,
    /// `keepalive_timeout`, default 75 s; 0: connections are not kept.
    pub keepalive_timeout: Duration,
    /// `keepalive_disable`.
    pub keepalive_disable: KeepaliveDisable,
    /// The second argument: the `Keep-Alive: timeout=` field.
    pub keepalive_header: Option<Duration>,
    /// `keepalive_requests`, default 1000.
    pub keepalive_requests: u64,
    /// `keepalive_time`, default 1 h.
    pub keepalive_time: Duration,
    pub lingering: Lingering,
    pub lingering_time: Duration,
    pub lingering_timeout: Duration,
    pub reset_timedout: bool,
    pub chunked_transfer_encoding: bool,
    /// `http2_chunk_size`, the most bytes of one DATA frame, default 8k.
    pub http2_chunk: usize,
    pub tcp_nodelay: bool,
    pub sendfile: bool,
    /// `limit_rate`, bytes a second; 0: no limit.
    pub limit_rate: Option<Template>,
    pub limit_rate_after: Option<Template>,

    /// `None`: `access_log off`.
    pub access_logs: Vec<AccessLog>,
    /// `error_log` that holds here.
    pub error_logs: Vec<super::ErrorLog>,
}

/// Lower-case extension to type.
pub type Types = HashMap<Box<[u8]>, Box<[u8]>>;

/// What answers.
#[derive(Debug, Clone)]
pub enum Content {
    /// Files below `root` or `alias`: index, then static.
    Static,
    Proxy(Box<Proxy>),
    /// `stub_status`
    StubStatus,
    /// `empty_gif`
    EmptyGif,
    /// `check_status`, and its format where a request names none.
    CheckStatus(super::StatusFormat),
}

/// `root` or `alias`.
#[derive(Debug, Clone)]
pub enum Root {
    /// Resolved against the prefix when it has no variables.
    Root(Template),
    /// `len`: bytes of the path that it replaces (a prefix location); `None` in a regex location.
    Alias { path: Template, replaces: Option<usize> },
}

/// `return CODE [TEXT]`, `return CODE URL`, `return URL`.
#[derive(Debug, Clone)]
pub struct Return {
    pub code: u16,
    pub text: Option<Template>,
}

#[derive(Debug, Clone)]
pub struct TryFiles {
    /// Files and, ending in `/`, directories.
    pub tries: Vec<TryFile>,
    pub last: TryLast,
}

#[derive(Debug, Clone)]
pub struct TryFile {
    pub path: Template,
    pub dir: bool,
}

#[derive(Debug, Clone)]
pub enum TryLast {
    /// `=404`
    Code(u16),
    Named(LocId),
    /// A named location that the server does not have: 500 when it comes to that.
    NamedMissing(Box<[u8]>),
    Uri(Template),
}

/// `error_page CODE … [=[RESPONSE]] URI`
#[derive(Debug, Clone)]
pub struct ErrorPage {
    pub status: u16,
    /// `None`: the original status stays; `Some(0)`: `=` alone, the status of what answers; otherwise `=CODE`.
    pub overwrite: Option<u16>,
    pub to: ErrorTo,
}

#[derive(Debug, Clone)]
pub enum ErrorTo {
    Named(LocId),
    /// A named location that the server does not have: 500 when it comes to that.
    NamedMissing(Box<[u8]>),
    /// A local URI (begins with `/`), or a URL to redirect to.
    Uri(Template),
}

#[derive(Debug, Clone)]
pub struct AddHeader {
    pub name: Box<[u8]>,
    pub value: Template,
    pub always: bool,
}

/// `expires`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Expires {
    #[default]
    Off,
    Epoch,
    Max,
    /// Seconds from now; negative: in the past.
    Access(i64),
    /// `modified +time`
    Modified(i64),
    /// `@time`: second of the day.
    Daily(u32),
    /// A value with variables, read by the same rules when the answer is sent.
    Variable {
        modified: bool,
        value: Template,
    },
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IfModifiedSince {
    Off,
    #[default]
    Exact,
    Before,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServerTokens {
    #[default]
    On,
    Off,
    Build,
}

/// `client_body_in_file_only`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BodyInFile {
    #[default]
    Off,
    /// Files stay.
    On,
    /// They go with their requests.
    Clean,
}

/// Browsers whose connections are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepaliveDisable {
    /// After a POST.
    pub msie6: bool,
    pub safari: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lingering {
    Off,
    #[default]
    On,
    Always,
}

/// One `access_log`.
#[derive(Debug, Clone)]
pub struct AccessLog {
    pub file: LogFileId,
    pub format: LogFormatId,
    /// `if=`: logged unless this is empty or `0`.
    pub condition: Option<Template>,
}

/// A log file that requests write to; one entry a path, shared.
#[derive(Debug, Clone)]
pub struct LogFile {
    pub target: super::LogTarget,
    /// `buffer=`
    pub buffer: Option<usize>,
    /// `flush=`
    pub flush: Option<Duration>,
}

#[derive(Debug, Clone)]
pub struct LogFormat {
    pub name: Box<str>,
    pub escape: LogEscape,
    pub template: Template,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogEscape {
    #[default]
    Default,
    Json,
    None,
}

/// `allow` or `deny`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateRule {
    pub allow: bool,
    pub who: Who,
}

/// `auth_request`
#[derive(Debug, Clone)]
pub struct AuthRequest {
    /// The path that is asked.
    pub uri: Box<[u8]>,
    /// `auth_request_set`: evaluated with what the answer was.
    pub set: Vec<(super::SetTo, Template)>,
}

/// `auth_basic`
#[derive(Debug, Clone)]
pub struct BasicAuth {
    /// When it comes to `off`, nobody is asked.
    pub realm: Template,
    /// `auth_basic_user_file`
    pub users: Template,
    /// Where a relative name of it begins: the folder of the configuration.
    pub folder: PathBuf,
}

/// Whom a rule speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    All,
    /// Clients on a unix socket.
    Unix,
    Network(crate::values::Cidr),
}

/// Where the client's address comes from when a trusted proxy is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealIp {
    pub from: Vec<Who>,
    pub field: RealIpField,
    pub recursive: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RealIpField {
    /// `X-Forwarded-For`: all of its lines, from the end.
    Forwarded,
    /// The first line of this name, lower case.
    Named(Box<[u8]>),
    ProxyProtocol,
}
