//! The core settings that locations inherit.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::cx::show;
use super::family::family;
use super::resolver::{self, Resolver};
use super::srv::obsolete;
use super::text::Text;
use super::{Cx, error_log, set};
use crate::plan::{BodyInFile, ErrorLog, IfModifiedSince, Lingering, ServerTokens};
use crate::source::Dir;
use crate::values;

family! {
    /// `ngx_http_core_module`, `ngx_http_index_module`, flags of `ngx_http_rewrite_module`: what may stand in `http`, `server` and `location`.
    pub struct Core {
        /// `root` or `alias`.
        "root" | "alias" => root: Root = root, Root::default();
        "index" => index: Vec<Text> = index, vec![Text::plain(*b"index.html")];
        "types" => types: Arc<Types> = types, default_types();
        "default_type" => default_type: Box<[u8]> = set::text, (*b"text/plain").into();
        "error_page" => error_pages: Vec<ErrorPage> = error_page, Vec::new();
        "recursive_error_pages" => recursive_error_pages: bool = set::flag, false;
        "error_log" => error_logs: Vec<ErrorLog> = error_log::read, Vec::new();
        "internal" => internal: bool = internal, false;
        "etag" => etag: bool = set::flag, true;
        "if_modified_since" => if_modified_since: IfModifiedSince = set::word(IMS), IfModifiedSince::Exact;
        "server_tokens" => server_tokens: ServerTokens = set::word(TOKENS), ServerTokens::On;
        "absolute_redirect" => absolute_redirect: bool = set::flag, true;
        "server_name_in_redirect" => server_name_in_redirect: bool = set::flag, false;
        "port_in_redirect" => port_in_redirect: bool = set::flag, true;
        "msie_padding" => msie_padding: bool = set::flag, true;
        "msie_refresh" => msie_refresh: bool = set::flag, false;
        /// Absent: no limit.
        "max_ranges" => max_ranges: Option<u64> = some(set::num), None;
        "log_not_found" => log_not_found: bool = set::flag, true;
        "log_subrequest" => log_subrequest: bool = set::flag, false;
        "rewrite_log" => rewrite_log: bool = set::flag, false;
        "uninitialized_variable_warn" => uninitialized_variable_warn: bool = set::flag, true;
        /// Bytes; 0: no limit.
        "client_max_body_size" => max_body: u64 = set::off, 1 << 20;
        /// Bytes; nginx: two pages.
        "client_body_buffer_size" => body_buffer: usize = set::size, 8 << 10;
        "client_body_timeout" => body_timeout: Duration = set::msec, Duration::from_secs(60);
        /// A directory, absolute.
        "client_body_temp_path" => body_temp_path: PathBuf = set::path, PathBuf::from("client_body_temp");
        "client_body_in_file_only" => body_in_file: BodyInFile = set::word(IN_FILE), BodyInFile::Off;
        "send_timeout" => send_timeout: Duration = set::msec, Duration::from_secs(60);
        /// Idle time, 0: connections are not kept; and the seconds of the `Keep-Alive` field.
        "keepalive_timeout" => keepalive: (Duration, Option<Duration>) = keepalive, (Duration::from_secs(75), None);
        "keepalive_requests" => keepalive_requests: u64 = set::num, 1000;
        "keepalive_time" => keepalive_time: Duration = set::msec, Duration::from_secs(3600);
        /// Bits of `BROWSERS`.
        "keepalive_disable" => keepalive_disable: u32 = set::bits(BROWSERS), MSIE6;
        "lingering_close" => lingering: Lingering = set::word(LINGERING), Lingering::On;
        "lingering_time" => lingering_time: Duration = set::msec, Duration::from_secs(30);
        "lingering_timeout" => lingering_timeout: Duration = set::msec, Duration::from_secs(5);
        /// Absent: names cannot be looked up while running.
        "resolver" => resolver: Option<Arc<Resolver>> = resolver::read, None;
        "resolver_timeout" => resolver_timeout: Duration = set::msec, Duration::from_secs(30);
        "reset_timedout_connection" => reset_timedout: bool = set::flag, false;
        "chunked_transfer_encoding" => chunked_transfer_encoding: bool = set::flag, true;
        /// Bytes of one DATA frame.
        "http2_chunk_size" => http2_chunk: usize = set::checked(set::size, chunk), 8 << 10;
        "http2_push" => http2_push: () = obsolete(""), ();
        "http2_push_preload" => http2_push_preload: () = obsolete(""), ();
        "tcp_nodelay" => tcp_nodelay: bool = set::flag, true;
        "sendfile" => sendfile: bool = set::flag, false;
        /// Bytes a second.
        "limit_rate" => limit_rate: Option<Text> = some(set::template_size), None;
        "limit_rate_after" => limit_rate_after: Option<Text> = some(set::template_size), None;
    }
}

fn chunk(size: &usize) -> Option<String> {
    (*size == 0).then(|| "the http2 chunk size cannot be zero".to_owned())
}

const IMS: &[(&str, IfModifiedSince)] =
    &[("off", IfModifiedSince::Off), ("exact", IfModifiedSince::Exact), ("before", IfModifiedSince::Before)];

const TOKENS: &[(&str, ServerTokens)] =
    &[("off", ServerTokens::Off), ("on", ServerTokens::On), ("build", ServerTokens::Build)];

const IN_FILE: &[(&str, BodyInFile)] =
    &[("off", BodyInFile::Off), ("on", BodyInFile::On), ("clean", BodyInFile::Clean)];

/// The bits of `keepalive_disable`.
pub const MSIE6: u32 = 1 << 1;
pub const SAFARI: u32 = 1 << 2;

const BROWSERS: &[(&str, u32)] = &[("none", 1), ("msie6", MSIE6), ("safari", SAFARI)];

const LINGERING: &[(&str, Lingering)] =
    &[("off", Lingering::Off), ("on", Lingering::On), ("always", Lingering::Always)];

/// Lower-case extension to type; shared, since a file of types is long and holds everywhere.
pub type Types = HashMap<Box<[u8]>, Box<[u8]>>;

/// `root` or `alias`, its path absolute or beginning with a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    pub path: Text,
    pub alias: bool,
    /// Bytes of the path that an alias replaces; `None` in a location with a regex.
    pub replaces: Option<usize>,
    /// The default, `html`, is resolved by who knows the prefix.
    pub is_default: bool,
}

impl Default for Root {
    fn default() -> Self {
        Self { path: Text::plain(*b"html"), alias: false, replaces: None, is_default: true }
    }
}

/// One status of an `error_page`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPage {
    pub status: u16,
    /// `None`: the original status stays; `Some(0)`: that of what answers.
    pub overwrite: Option<u16>,
    pub uri: Text,
}

/// A slot whose value may be absent by default.
pub fn some<T>(
    set: impl Fn(&mut Cx<'_>, Dir<'_>, &mut Option<T>),
) -> impl Fn(&mut Cx<'_>, Dir<'_>, &mut Option<Option<T>>) {
    move |cx, d, slot| {
        let mut inner = slot.take().flatten();
        set(cx, d, &mut inner);
        if inner.is_some() {
            *slot = Some(inner);
        }
    }
}

fn root(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Root>) {
    let (name, alias) = (d.name(), d.name() == "alias");
    if let Some(earlier) = slot {
        if earlier.alias == alias {
            return cx.says(d, "is duplicate");
        }
        let earlier = if earlier.alias { "alias" } else { "root" };
        return cx.emerg(
            d,
            format!("\"{name}\" directive is duplicate, \"{earlier}\" directive was specified earlier"),
        );
    }
    if cx.loc.named && alias {
        return cx.emerg(d, "the \"alias\" directive cannot be used inside the named location");
    }
    let path = d.arg(0);
    for var in ["document_root", "realpath_root"] {
        let holds = |text: String| memchr::memmem::find(path, text.as_bytes()).is_some();
        if holds(format!("${var}")) || holds(format!("${{{var}}}")) {
            return cx.emerg(d, format!("the ${var} variable cannot be used in the \"{name}\" directive"));
        }
    }
    let path = if alias { path } else { path.strip_suffix(b"/").unwrap_or(path) };
    let full = cx.full_name(path);
    if let Some(path) = Text::read(cx, d, &full) {
        let replaces = (alias && !cx.loc.regex).then_some(cx.loc.name.len());
        *slot = Some(Root { path, alias, replaces, is_default: false });
    }
}

fn index(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Vec<Text>>) {
    let list = slot.get_or_insert_default();
    for (i, arg) in d.args().iter().enumerate() {
        if arg.value.first() == Some(&b'/') && i + 1 != d.args().len() {
            cx.warn(d, "only the last index in \"index\" directive should be absolute");
        }
        if arg.value.is_empty() {
            return cx.emerg(d, "index \"\" in \"index\" directive is invalid");
        }
        list.extend(Text::read(cx, d, &arg.value));
    }
}

fn default_types() -> Arc<Types> {
    static TYPES: LazyLock<Arc<Types>> = LazyLock::new(|| {
        let types: [(&[u8], &[u8]); 3] =
            [(b"html", b"text/html"), (b"gif", b"image/gif"), (b"jpg", b"image/jpeg")];
        Arc::new(types.into_iter().map(|(e, t)| (e.into(), t.into())).collect())
    });
    TYPES.clone()
}

fn types(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Arc<Types>>) {
    let types = Arc::make_mut(slot.get_or_insert_default());
    for row in d.children() {
        let content_type = &row.node().name.value;
        for arg in row.args() {
            let extension: Box<[u8]> = arg.value.to_ascii_lowercase().into();
            let Some(old) = types.insert(extension.clone(), content_type.clone()) else { continue };
            let (extension, new, old) = (show(&extension), show(content_type), show(&old));
            cx.warn(
                row,
                format!(
                    "duplicate extension \"{extension}\", content type: \"{new}\", \
                     previous content type: \"{old}\""
                ),
            );
        }
    }
}

fn error_page(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Vec<ErrorPage>>) {
    let list = slot.get_or_insert_default();
    let Some((uri, codes)) = d.args().split_last() else { return };
    let (overwrite, codes) = match codes.split_last() {
        Some((word, rest)) if word.value.first() == Some(&b'=') => {
            let digits = word.value.get(1..).unwrap_or_default();
            let number = if digits.is_empty() { Some(0) } else { values::number(digits) };
            match number.filter(|_| !rest.is_empty()).and_then(|n| u16::try_from(n).ok()) {
                Some(n) => (Some(n), rest),
                None => return cx.emerg(d, format!("invalid value \"{}\"", show(&word.value))),
            }
        }
        _ => (None, codes),
    };
    let Some(uri) = Text::read(cx, d, &uri.value) else { return };
    for code in codes {
        let shown = show(&code.value);
        match values::number(&code.value) {
            None | Some(499) => return cx.emerg(d, format!("invalid value \"{shown}\"")),
            Some(n @ 300..=599) => {
                let status = n as u16;
                // nginx's own statuses for a bad request are answered as 400.
                let overwrite = overwrite.or(matches!(status, 494..=497).then_some(400));
                list.push(ErrorPage { status, overwrite, uri: uri.clone() });
            }
            Some(_) => return cx.emerg(d, format!("value \"{shown}\" must be between 300 and 599")),
        }
    }
}

fn internal(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<bool>) {
    if slot.is_some() {
        cx.says(d, "is duplicate");
    }
    *slot = Some(true);
}

fn keepalive(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<(Duration, Option<Duration>)>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    let Some(idle) = values::msec(d.arg(0)).map(Duration::from_millis) else {
        return cx.says(d, "invalid value");
    };
    let field = if d.args().len() > 1 {
        match values::sec(d.arg(1)) {
            Some(s) => (s > 0).then(|| Duration::from_secs(s)),
            None => return cx.says(d, "invalid value"),
        }
    } else {
        None
    };
    *slot = Some((idle, field));
}
