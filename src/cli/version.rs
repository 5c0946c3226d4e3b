//! `-v`, `-V`, `-h`.

use crate::directives::{self, Status};

use super::args::Args;
use super::place;

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
        out.push_str("configure arguments:");
        for argument in arguments() {
            out.push(' ');
            out.push_str(&argument);
        }
        out.push('\n');
    }
    out
}

fn help() -> String {
    let prefix = place::PREFIX.unwrap_or("the current directory");
    format!(
        "Usage: tenrec [-?hvVtTq] [-s signal] [-p prefix]
              [-e filename] [-c filename] [-g directives]

Options:
  -?,-h         : this help
  -v            : show version and exit
  -V            : show version and configure options then exit
  -t            : test configuration and exit (also --test-config)
  -T            : test configuration, dump it and exit
  -q            : suppress non-error messages during configuration testing
  -s signal     : send signal to a master process: stop, quit, reopen, reload
  -p prefix     : set prefix path (default: {prefix})
  -e filename   : set error log file (default: {log}, or stderr without -p where there is no logs folder)
  -c filename   : set configuration file (default: {conf}; without -p the first there is of {search})
  -g directives : set global directives out of configuration file

",
        log = place::ERROR_LOG,
        conf = place::CONF,
        search = place::SEARCH.join(", "),
    )
}

/// Modules that nginx has unless it is built without them.
const DEFAULT: &[&str] = &[
    "http_charset_filter_module",
    "http_gzip_filter_module",
    "http_ssi_filter_module",
    "http_userid_filter_module",
    "http_access_module",
    "http_auth_basic_module",
    "http_mirror_module",
    "http_autoindex_module",
    "http_geo_module",
    "http_map_module",
    "http_split_clients_module",
    "http_referer_module",
    "http_rewrite_module",
    "http_proxy_module",
    "http_fastcgi_module",
    "http_uwsgi_module",
    "http_scgi_module",
    "http_grpc_module",
    "http_tunnel_module",
    "http_memcached_module",
    "http_limit_conn_module",
    "http_limit_req_module",
    "http_empty_gif_module",
    "http_browser_module",
    "http_upstream_hash_module",
    "http_upstream_ip_hash_module",
    "http_upstream_least_conn_module",
    "http_upstream_least_time_module",
    "http_upstream_random_module",
    "http_upstream_keepalive_module",
    "http_upstream_zone_module",
    "http_upstream_sticky_module",
];

/// Modules that nginx has only when it is built with them.
const OPTIONAL: &[&str] = &[
    "http_ssl_module",
    "http_v2_module",
    "http_v3_module",
    "http_realip_module",
    "http_addition_filter_module",
    "http_sub_filter_module",
    "http_dav_module",
    "http_gunzip_filter_module",
    "http_gzip_static_module",
    "http_auth_request_module",
    "http_random_index_module",
    "http_secure_link_module",
    "http_slice_filter_module",
    "http_stub_status_module",
];

/// nginx's build options that describe what works here: `--with-…` for an optional module that does, `--without-…` for
/// a default one that does not. The table of directives says which do.
fn arguments() -> Vec<String> {
    let option = |module: &str| module.replace("_filter_module", "_module");
    let with = OPTIONAL.iter().filter(|m| works(m)).map(|m| format!("--with-{}", option(m)));
    let without = DEFAULT.iter().filter(|m| !works(m)).map(|m| format!("--without-{}", option(m)));
    with.chain(without).collect()
}

/// A module works when most of its directives are carried out.
fn works(module: &str) -> bool {
    let rows = || directives::all().iter().filter(|r| r.module.strip_prefix("ngx_") == Some(module));
    let done = rows().filter(|r| matches!(r.status, Status::Full | Status::Partial)).count();
    let inert = rows().filter(|r| r.status == Status::Inert).count();
    done > 0 && (done + inert) * 2 > rows().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_named_by_what_the_table_says_of_it() {
        let arguments = arguments();
        assert!(!arguments.iter().any(|a| a.contains("http_proxy_module")), "{arguments:?}");
        assert!(arguments.iter().any(|a| a == "--without-http_uwsgi_module"), "{arguments:?}");
        assert!(arguments.iter().all(|a| a.starts_with("--with")));
    }
}
