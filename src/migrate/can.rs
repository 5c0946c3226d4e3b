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
        }
    }
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
