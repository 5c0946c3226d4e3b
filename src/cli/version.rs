//! `-v`, `-V`, `-h`.

use crate::directives::{self, Origin, Status};

use super::args::Args;
use super::options::{LETTERS, LONG};
use super::sub;

/// The nginx whose behaviour this is.
const NGINX: &str = "1.31.5";

/// What `-v`, `-V` and `-h` print.
pub(super) fn text(args: &Args) -> String {
    let mut out =
        format!("tenrec version: tenrec/{}\nnginx version: nginx/{NGINX}\n", env!("CARGO_PKG_VERSION"));
    if args.help {
        out.push_str(&help());
    }
    if args.configure {
        let library = String::from_utf8_lossy(aws_lc_sys::OPENSSL_VERSION_TEXT);
        out += &format!("built with {}\nTLS SNI support enabled\n", library.trim_end_matches('\0'));
        out.push_str("configure arguments:");
        for argument in arguments() {
            out.push(' ');
            out.push_str(&argument);
        }
        out.push('\n');
    }
    out
}

pub(super) fn help() -> String {
    let mut out = "Usage: tenrec [-?hvVtTq] [-s signal] [-p prefix]
              [-e filename] [-c filename] [-g directives]

Options:
"
    .to_owned();
    for option in LETTERS {
        out += &format!("  {:<13} : {}\n", option.shown(), option.about());
    }
    out += "\nWhat nginx does not have:\n";
    for flag in LONG {
        out += &format!("  {} : {}\n", flag.shown(), flag.about);
    }
    out += "\nCommands (\"tenrec help COMMAND\" says more):\n";
    for command in sub::COMMANDS {
        out += &format!("  {:<13} : {}\n", command.name, command.brief());
    }
    out.push('\n');
    out
}

/// Modules that nginx has unless it is built without them, and the directives that make each what it is.
const DEFAULT: &[(&str, &[&str])] = &[
    ("http_charset_module", &["charset", "charset_map"]),
    ("http_gzip_module", &["gzip"]),
    ("http_ssi_module", &["ssi"]),
    ("http_userid_module", &["userid"]),
    ("http_access_module", &["allow", "deny"]),
    ("http_auth_basic_module", &["auth_basic"]),
    ("http_mirror_module", &["mirror"]),
    ("http_autoindex_module", &["autoindex"]),
    ("http_geo_module", &["geo"]),
    ("http_map_module", &["map"]),
    ("http_split_clients_module", &["split_clients"]),
    ("http_referer_module", &["valid_referers"]),
    ("http_rewrite_module", &["if", "return", "rewrite", "set"]),
    ("http_proxy_module", &["proxy_pass"]),
    ("http_fastcgi_module", &["fastcgi_pass"]),
    ("http_uwsgi_module", &["uwsgi_pass"]),
    ("http_scgi_module", &["scgi_pass"]),
    ("http_grpc_module", &["grpc_pass"]),
    ("http_tunnel_module", &["tunnel_pass"]),
    ("http_memcached_module", &["memcached_pass"]),
    ("http_limit_conn_module", &["limit_conn"]),
    ("http_limit_req_module", &["limit_req"]),
    ("http_empty_gif_module", &["empty_gif"]),
    ("http_browser_module", &["modern_browser"]),
    ("http_upstream_hash_module", &["hash"]),
    ("http_upstream_ip_hash_module", &["ip_hash"]),
    ("http_upstream_least_conn_module", &["least_conn"]),
    ("http_upstream_least_time_module", &["least_time"]),
    ("http_upstream_random_module", &["random"]),
    ("http_upstream_keepalive_module", &["keepalive"]),
    ("http_upstream_zone_module", &["zone"]),
    ("http_upstream_sticky_module", &["sticky"]),
];

/// Modules that nginx has only when it is built with them.
const OPTIONAL: &[(&str, &[&str])] = &[
    ("http_ssl_module", &["ssl_certificate"]),
    ("http_v2_module", &["http2"]),
    ("http_v3_module", &["http3"]),
    ("http_realip_module", &["set_real_ip_from"]),
    ("http_addition_module", &["add_after_body"]),
    ("http_sub_module", &["sub_filter"]),
    ("http_dav_module", &["dav_methods"]),
    ("http_gunzip_module", &["gunzip"]),
    ("http_gzip_static_module", &["gzip_static"]),
    ("http_auth_request_module", &["auth_request"]),
    ("http_random_index_module", &["random_index"]),
    ("http_secure_link_module", &["secure_link"]),
    ("http_slice_module", &["slice"]),
    ("http_stub_status_module", &["stub_status"]),
];

/// nginx's build options that describe what works here: `--with-…` for an optional module that does, `--without-…` for
/// a default one that does not. The table of directives says which do.
fn arguments() -> Vec<String> {
    let with = OPTIONAL.iter().filter(|(_, keys)| work(keys)).map(|(m, _)| format!("--with-{m}"));
    let without = DEFAULT.iter().filter(|(_, keys)| !work(keys)).map(|(m, _)| format!("--without-{m}"));
    with.chain(without).collect()
}

/// Each of these directives is carried out, in one of its meanings at least.
fn work(keys: &[&str]) -> bool {
    let done = |key: &&str| {
        let rows = directives::lookup(key);
        rows.iter().any(|r| r.origin == Origin::Nginx && matches!(r.status, Status::Full | Status::Partial))
    };
    keys.iter().all(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_by_what_the_table_says_of_them() {
        let arguments = arguments();
        assert!(!arguments.iter().any(|a| a == "--without-http_proxy_module"), "{arguments:?}");
        assert!(arguments.iter().any(|a| a == "--without-http_uwsgi_module"), "{arguments:?}");
    }

    #[test]
    fn every_key_is_a_directive_of_its_module() {
        for (module, keys) in DEFAULT.iter().chain(OPTIONAL) {
            for key in *keys {
                let stem = module.trim_end_matches("_module");
                let of = |m: &str| m.strip_prefix("ngx_").is_some_and(|m| m.starts_with(stem));
                assert!(directives::lookup(key).iter().any(|r| of(r.module)), "{module}: {key}");
            }
        }
    }
}
