//! What this tenrec carries out, asked of itself: a small configuration for each thing that a dialect may need.

use std::path::Path;

use super::verify;

/// The things that not every tenrec can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Can {
    /// Active checks: `check` in an upstream.
    pub check: bool,
    /// `listen … ssl`
    pub ssl: bool,
    /// `proxy_pass https://…`
    pub proxy_ssl: bool,
    /// `httponly`, `secure`, `samesite=` of `session_sticky`
    pub session_flags: bool,
    /// `always` of `session_sticky`
    pub session_always: bool,
    /// `server … backup` beside `session_sticky`
    pub session_backup: bool,
    /// `nocache`, `postonly`, `preserve` of `session_sticky`
    pub session_rules: bool,
    /// `sticky_accept` in an upstream.
    pub accept: bool,
    pub slow_start: bool,
    pub least_time: bool,
    /// `server … resolve`
    pub resolve: bool,
    /// `http2 on`
    pub h2: bool,
    /// `gzip on`
    pub gzip: bool,
}

impl Can {
    /// What this program can.
    pub fn probe() -> Self {
        let upstream = |lines: &str| {
            works(&format!(
                "upstream a {{ {lines} server 127.0.0.1:1; }} server {{ location / {{ return 200; }} }}"
            ))
        };
        Self {
            check: upstream("check interval=2000 rise=1 fall=3 timeout=1000 type=http;"),
            // Without a certificate nginx refuses such a listener when it starts, not when it reads it.
            ssl: known("ssl_certificate"),
            proxy_ssl: works("server { location / { proxy_pass https://127.0.0.1; } }"),
            session_flags: upstream("session_sticky httponly secure samesite=Lax;"),
            session_always: upstream("session_sticky always;"),
            session_backup: upstream("session_sticky; server 127.0.0.1:2 backup;"),
            session_rules: upstream("session_sticky nocache postonly preserve;"),
            accept: upstream("session_sticky; sticky_accept haproxy;"),
            slow_start: upstream("zone z 64k; server 127.0.0.1:2 slow_start=30s;"),
            least_time: upstream("least_time header;"),
            h2: known("http2"),
            gzip: known("gzip"),
            resolve: works(
                "resolver 127.0.0.1; upstream a { zone z 64k; server a.invalid resolve; } \
                 server { location / { return 200; } }",
            ),
        }
    }
}

/// Why a URL is none of a store; `None`: it is one.
pub fn store(url: &str) -> Option<String> {
    if url.contains([' ', '"', '\'', ';', '{', '}', '\\', '$']) {
        return Some(format!("\"{url}\" cannot be written"));
    }
    let text = format!(
        "events {{ }} http {{ upstream a {{ server 127.0.0.1:1; \
         sticky learn create=$remote_addr lookup=$remote_addr zone=a:1m store={url}; }} }}"
    );
    let loaded = verify::load(&text, Path::new("/"));
    let bad = loaded.diags.iter().find(|d| d.severity.is_fatal() && !verify::of_the_machine(d));
    bad.map(|d| d.message.clone())
}

fn known(directive: &str) -> bool {
    use crate::directives::Status;
    let rows = crate::directives::lookup(directive);
    rows.iter().any(|r| r.module.contains("http") && matches!(r.status, Status::Full | Status::Partial))
}

fn works(http: &str) -> bool {
    let text = format!("events {{ }} http {{ {http} }}");
    verify::load(&text, Path::new("/")).plan.is_some()
}
