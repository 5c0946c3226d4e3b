//! TLS of listeners, of servers, and what `global` says of both.

use super::super::model::Line as Out;
use super::Cx;
use super::read::{Line, Section};

/// The folders that names of files start from.
#[derive(Debug, Default)]
pub(super) struct Bases {
    certificates: Option<String>,
    authorities: Option<String>,
}

impl Bases {
    pub(super) fn read(sections: &[Section]) -> Self {
        let said = |name: &str| {
            let lines = sections.iter().filter(|s| s.kind == "global").flat_map(|s| &s.lines);
            lines.filter(|l| l.word(0) == name).map(|l| l.word(1).to_owned()).next_back()
        };
        Self { certificates: said("crt-base"), authorities: said("ca-base") }
    }

    fn join(base: Option<&String>, name: &str) -> String {
        match base {
            Some(base) if !name.starts_with(['/', '@']) => format!("{}/{name}", base.trim_end_matches('/')),
            _ => name.to_owned(),
        }
    }

    fn certificate(&self, name: &str) -> String {
        Self::join(self.certificates.as_ref(), name)
    }

    fn authority(&self, name: &str) -> String {
        match name {
            "@system-ca" => SYSTEM.to_owned(),
            name => Self::join(self.authorities.as_ref(), name),
        }
    }
}

/// Where most systems have the authorities that they trust.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What is said behind `ssl`, of a listener or of a server.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) on: bool,
    certificates: Vec<String>,
    lists: Vec<String>,
    pub(super) verify: Option<String>,
    lax: bool,
    authority: Option<String>,
    revoked: Option<String>,
    ciphers: Option<String>,
    suites: Option<String>,
    curves: Option<String>,
    least: Option<usize>,
    most: Option<usize>,
    without: Vec<usize>,
    tickets_off: bool,
    h2: bool,
    sni: Option<String>,
    name: Option<String>,
    reuse_off: bool,
}

const VERSIONS: [&str; 4] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

fn version(text: &str) -> Option<usize> {
    match text {
        "SSLv3" | "TLSv1.0" => Some(0),
        text => VERSIONS.iter().position(|v| *v == text),
    }
}

impl Said {
    /// Takes a word and its values when it is one of TLS.
    pub(super) fn take<'w>(
        &mut self,
        cx: &Cx,
        line: &Line,
        word: &str,
        rest: &mut impl Iterator<Item = &'w str>,
        secure: bool,
    ) -> bool {
        let mut next = || rest.next().unwrap_or_default().to_owned();
        match word {
            "crt" => self.certificates.push(cx.bases.certificate(&next())),
            "crt-list" => self.lists.push(next()),
            "verify" => self.verify = Some(next()),
            "ca-file" => self.authority = Some(cx.bases.authority(&next())),
            "crl-file" => self.revoked = Some(cx.bases.authority(&next())),
            "ca-ignore-err" | "crt-ignore-err" => {
                next();
                self.lax = true;
            }
            "ciphers" => self.ciphers = Some(next()),
            "ciphersuites" => self.suites = Some(next()),
            "curves" | "ecdhe" => self.curves = Some(next().replace(',', ":")),
            "ssl-min-ver" => self.least = version(&next()),
            "ssl-max-ver" => self.most = version(&next()),
            "no-sslv3" | "no-ssl-v3" => {}
            "no-tlsv10" => self.without.push(0),
            "no-tlsv11" => self.without.push(1),
            "no-tlsv12" => self.without.push(2),
            "no-tlsv13" => self.without.push(3),
            "force-tlsv10" => (self.least, self.most) = (Some(0), Some(0)),
            "force-tlsv11" => (self.least, self.most) = (Some(1), Some(1)),
            "force-tlsv12" => (self.least, self.most) = (Some(2), Some(2)),
            "force-tlsv13" => (self.least, self.most) = (Some(3), Some(3)),
            "no-tls-tickets" => self.tickets_off = true,
            "tls-tickets" => self.tickets_off = false,
            "prefer-client-ciphers" | "prefer-server-ciphers" => {
                cx.account.approximated(line, "whose order of ciphers counts is the library's choice");
            }
            "strict-sni" => {
                cx.account.approximated(
                    line,
                    "strict-sni: who asks for no host of this file gets the first certificate",
                );
            }
            "allow-0rtt" => {
                cx.account.approximated(line, "allow-0rtt: early data is not read");
            }
            "alpn" | "npn" => {
                let said = next();
                if !secure {
                    cx.account.exact(line, "alpn: without TLS it says nothing");
                } else if said.split(',').any(|p| p == "h2") && !cx.can.h2 {
                    cx.account.approximated(line, "alpn: HTTP/1.1 is spoken");
                } else {
                    self.h2 = said.split(',').any(|p| p == "h2");
                }
            }
            "sni" => self.sni = Some(next()),
            "verifyhost" => self.name = Some(next()),
            "no-ssl-reuse" => self.reuse_off = true,
            "tls-ticket-keys"
            | "generate-certificates"
            | "ca-sign-file"
            | "ca-sign-pass"
            | "ca-verify-file"
            | "ocsp-update" => {
                if word != "generate-certificates" {
                    next();
                }
                cx.account.dropped(line, &format!("{word}: no counterpart"));
            }
            _ => return false,
        }
        true
    }

    fn protocols(&self) -> Option<Vec<&'static str>> {
        if self.least.is_none() && self.most.is_none() && self.without.is_empty() {
            return None;
        }
        let (least, most) = (self.least.unwrap_or(2), self.most.unwrap_or(3));
        let fits = |i: usize| i >= least && i <= most && !self.without.contains(&i);
        let all: Vec<&str> = VERSIONS.iter().enumerate().filter(|(i, _)| fits(*i)).map(|(_, v)| *v).collect();
        (!all.is_empty()).then_some(all)
    }

    /// The protocols and ciphers, of listeners (`ssl_…`) or of servers (`proxy_ssl_…`).
    fn common(&self, cx: &Cx, line: &Line, prefix: &str, out: &mut Vec<Out>) {
        let cite = Some(line.place);
        let mut say = |name: &str, words: Vec<&str>| {
            let name = format!("{prefix}{name}");
            out.push(Out::new(cite, std::iter::once(name.as_str()).chain(words)));
        };
        if let Some(all) = self.protocols() {
            say("protocols", all);
        }
        let server = prefix == "proxy_ssl_";
        if let Some(ciphers) = self.ciphers.as_deref().filter(|c| plain(c)) {
            if server {
                cx.account.approximated(line, "ciphers: those of the TLS library");
            } else {
                say("ciphers", vec![ciphers]);
            }
        }
        if let Some(suites) = self.suites.as_deref().filter(|c| plain(c)) {
            if server {
                cx.account.approximated(line, "ciphersuites: those of the TLS library");
            } else {
                say("conf_command", vec!["Ciphersuites", suites]);
            }
        }
        if let Some(curves) = self.curves.as_deref().filter(|c| plain(c) && !server) {
            say("ecdh_curve", vec![curves]);
        }
        if self.tickets_off && !server {
            say("session_tickets", vec!["off"]);
        }
    }

    /// What a server says for a listener's sake.
    pub(super) fn lines(&self, cx: &Cx, line: &Line) -> Vec<Out> {
        let cite = Some(line.place);
        let mut out = Vec::new();
        if self.h2 {
            out.push(Out::new(None, ["http2", "on"]));
        }
        let mut certificates = self.certificates.iter().filter(|c| plain(c));
        let first = certificates.next();
        for other in certificates {
            let note = format!(
                "crt {other}: certificates are chosen by \"server_name\"; say a server for its names"
            );
            cx.account.dropped(line, &note);
        }
        let folder =
            |path: &str| path.ends_with('/') || !path.rsplit('/').next().is_some_and(|n| n.contains('.'));
        let path = match first {
            Some(path) if folder(path) => {
                let path = format!("{}/default.pem", path.trim_end_matches('/'));
                let note = format!(
                    "a folder of certificates: \"{path}\" is expected; say a server for each of the others"
                );
                cx.account.approximated(line, &note);
                path
            }
            Some(path) => path.clone(),
            None => {
                let list = self.lists.first().map_or("/etc/haproxy/default", String::as_str);
                let list = if plain(list) { list } else { "/etc/haproxy/default" };
                let path = format!("{list}.pem");
                let note = format!(
                    "a list of certificates: put the one that is used by default to \"{path}\", and say a server for each of the others"
                );
                cx.account.approximated(line, &note);
                path
            }
        };
        // One file holds both.
        out.push(Out::new(cite, ["ssl_certificate", &path]));
        out.push(Out::new(cite, ["ssl_certificate_key", &path]));
        self.common(cx, line, "ssl_", &mut out);
        let authority = self.authority.as_deref().filter(|a| plain(a));
        match (self.verify.as_deref(), authority) {
            (None | Some("none"), _) => {}
            (Some(how), Some(authority)) => {
                let how = match (how, self.lax) {
                    ("optional", true) => "optional_no_ca",
                    ("optional", false) => "optional",
                    _ => "on",
                };
                if how == "on" {
                    cx.account.approximated(line, "verify required: 400 rather than a handshake that fails");
                }
                out.push(Out::new(cite, ["ssl_verify_client", how]));
                out.push(Out::new(cite, ["ssl_client_certificate", authority]));
            }
            (Some(_), None) => {
                let note = "dropped, closed instead: verify without a \"ca-file\": whoever comes gets 403";
                cx.account.dropped(line, note);
                out.push(super::rules::closed(line, "nobody is known who vouches for clients"));
            }
        }
        if let Some(revoked) = self.revoked.as_deref().filter(|r| plain(r)) {
            out.push(Out::new(cite, ["ssl_crl", revoked]));
        }
        out
    }

    /// What a location says for the sake of servers that speak TLS.
    pub(super) fn towards(&self, cx: &Cx, line: &Line, host: Option<&str>) -> Vec<Out> {
        let cite = Some(line.place);
        let mut out = Vec::new();
        let sni = self.sni.as_deref().and_then(|sample| {
            let text = sample.strip_prefix("str(").and_then(|s| s.strip_suffix(')'));
            let variable = match sample {
                "req.hdr(host)"
                | "hdr(host)"
                | "req.hdr(Host)"
                | "hdr(Host)"
                | "req.hdr(host),field(1,:)"
                | "req.hdr(host),host_only" => Some("$host"),
                "ssl_fc_sni" => Some("$ssl_server_name"),
                _ => None,
            };
            text.filter(|t| plain(t)).or(variable)
        });
        if self.sni.is_some() && sni.is_none() {
            cx.account.dropped(line, "sni: no variable has this");
        }
        if sni.is_some() {
            out.push(Out::new(cite, ["proxy_ssl_server_name", "on"]));
        }
        let name = self.name.as_deref().filter(|n| plain(n)).or(sni);
        let verifies = self.verify.as_deref() != Some("none");
        if let Some(name) = name.or(host.filter(|_| verifies)) {
            out.push(Out::new(cite, ["proxy_ssl_name", name]));
        }
        if verifies {
            out.push(Out::new(cite, ["proxy_ssl_verify", "on"]));
            let authority = self.authority.as_deref().filter(|a| plain(a)).unwrap_or(SYSTEM);
            out.push(Out::new(cite, ["proxy_ssl_trusted_certificate", authority]));
            let note = match (name, host) {
                (Some(_), _) => "one check for all servers of the upstream",
                (None, Some(_)) => "the certificate's name is looked at, too: the server's",
                (None, None) => "the certificate's name is looked at, too: say \"proxy_ssl_name\"",
            };
            cx.account.approximated(line, note);
        }
        if let Some(own) = self.certificates.first().filter(|c| plain(c)) {
            out.push(Out::new(cite, ["proxy_ssl_certificate", own]));
            out.push(Out::new(cite, ["proxy_ssl_certificate_key", own]));
        }
        if let Some(revoked) = self.revoked.as_deref().filter(|r| plain(r)) {
            out.push(Out::new(cite, ["proxy_ssl_crl", revoked]));
        }
        if self.reuse_off {
            out.push(Out::new(cite, ["proxy_ssl_session_reuse", "off"]));
        }
        if self.h2 {
            cx.account.approximated(line, "alpn: HTTP/1.1 to servers");
        }
        self.common(cx, line, "proxy_ssl_", &mut out);
        out
    }
}

/// Names of files and lists that need no quotes anywhere.
fn plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !br#"$;"'\{}#"#.contains(&b))
}

/// A line of `global` that is about TLS.
pub(super) fn global(cx: &mut Cx, line: &Line) {
    let word = line.word(0);
    let value = line.word(1);
    let mut said = Said::default();
    let (prefix, ready) = match word {
        _ if word.starts_with("ssl-default-server-") => ("proxy_ssl_", cx.can.proxy_ssl),
        _ => ("ssl_", cx.can.ssl),
    };
    if !ready {
        return cx.account.dropped(line, "needs TLS");
    }
    match word {
        "crt-base" | "ca-base" => return cx.account.exact(line, "in the names of the files"),
        "ssl-dh-param-file" | "tune.ssl.default-dh-param" => {
            return cx
                .account
                .approximated(line, "the TLS library has no such key exchange, or its own numbers");
        }
        "ssl-default-bind-ciphers" | "ssl-default-server-ciphers" => said.ciphers = Some(value.to_owned()),
        "ssl-default-bind-ciphersuites" | "ssl-default-server-ciphersuites" => {
            said.suites = Some(value.to_owned())
        }
        "ssl-default-bind-curves" => said.curves = Some(value.replace(',', ":")),
        "ssl-default-bind-options" | "ssl-default-server-options" => {
            let mut rest = line.from(1).iter().map(String::as_str);
            while let Some(word) = rest.next() {
                if !said.take(cx, line, word, &mut rest, true) {
                    cx.account.dropped(line, &format!("{word}: no counterpart"));
                }
            }
        }
        "ssl-server-verify" => {
            cx.account.exact(line, "where a server says nothing itself");
            cx.verify_none = value == "none";
            return;
        }
        "ssl-load-extra-files" | "ssl-load-extra-del-ext" | "ssl-skip-self-issued-ca" | "ssl-mode-async" => {
            return cx
                .account
                .approximated(line, "say \"ssl_certificate_key\" where the key has a file of its own");
        }
        _ => return cx.account.dropped(line, "no counterpart"),
    }
    cx.account.approximated(line, "what the TLS library has of it");
    let mut out = Vec::new();
    said.common(cx, line, prefix, &mut out);
    for new in out {
        cx.model.http.retain(|l| l.words.first() != new.words.first());
        cx.model.http.push(new);
    }
}
