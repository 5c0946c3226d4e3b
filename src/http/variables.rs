//! A request as a source of variables.

use super::{Attempt, Request, attempt};
use crate::plan::{Content, ListenAddr, Proxy, ProxyTo, Root, Var, VarId};
use crate::rt::clock;
use crate::values::{self, Host};
use crate::vars::{self, Source};
use crate::wire::{Framing, KnownField, Version};

impl Source for Request {
    fn append(&self, var: &Var, out: &mut Vec<u8>) -> bool {
        match var {
            Var::Fixed(id) => self.fixed(*id, out),
            Var::Http(name) => {
                let separator: &[u8] = if **name == *b"cookie" { b"; " } else { b", " };
                joined(self.head.iter().map(|(n, v, _)| (n, v)), name, separator, out)
            }
            Var::SentHttp(name) => self.sent(name, out),
            Var::SentTrailer(name) => {
                self.trailers.as_ref().is_some_and(|t| joined(t.sent.fields(), name, b", ", out))
            }
            Var::UpstreamTrailer(name) => {
                self.trailers.as_ref().is_some_and(|t| joined(t.upstream.fields(), name, b", ", out))
            }
            Var::UpstreamHttp(name) => {
                self.has_upstream_head
                    && joined(self.upstream_head.iter().map(|(n, v, _)| (n, v)), name, b", ", out)
            }
            Var::UpstreamCookie(name) => self.upstream_cookie(name, out),
            Var::Cookie(name) => {
                let lines = self.head.iter().filter(|(_, _, id)| *id == KnownField::Cookie);
                put(lines.filter_map(|(_, line, _)| vars::cookie(line, name)).next(), out)
            }
            Var::Arg(name) => put(vars::arg(&self.args, name), out),
            Var::Capture(n) => put(self.captures.borrow().get(usize::from(*n)), out),
            Var::Slot(slot) => self.slot(*slot, out),
        }
    }
}

fn put(value: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    value.inspect(|v| out.extend_from_slice(v)).is_some()
}

fn text(value: impl AsRef<[u8]>, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(value.as_ref());
    true
}

fn number(value: impl itoa::Integer, out: &mut Vec<u8>) -> bool {
    text(itoa::Buffer::new().format(value), out)
}

fn msec(value: u64, out: &mut Vec<u8>) -> bool {
    vars::push_msec(value, out);
    true
}

fn without_scheme(url: &[u8]) -> (u16, &[u8]) {
    values::http_url(url).unwrap_or((80, url))
}

/// A field's name against the name in a variable: no case, and `_` where a variable cannot say `-`.
fn same_name(field: &[u8], name: &[u8]) -> bool {
    let plain = |b: &u8| if *b == b'_' { b'-' } else { b.to_ascii_lowercase() };
    field.len() == name.len() && field.iter().zip(name).all(|(a, b)| plain(a) == plain(b))
}

/// The values of all fields of a name, as one.
fn joined<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    name: &[u8],
    separator: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    let mut found = false;
    for (_, value) in fields.filter(|(n, _)| same_name(n, name)) {
        if found {
            out.extend_from_slice(separator);
        }
        found = true;
        out.extend_from_slice(value);
    }
    found
}

impl Request {
    fn fixed(&self, id: VarId, out: &mut Vec<u8>) -> bool {
        use VarId as V;
        match id {
            V::Args | V::QueryString => text(&self.args, out) && !self.args.is_empty(),
            V::InvalidReferer => text(if super::referer::is_invalid(self) { "1" } else { "" }, out),
            V::IsArgs => text(if self.args.is_empty() { "" } else { "?" }, out),
            V::Uri | V::DocumentUri => {
                text(&self.uri, out) && !(self.uri.is_empty() && self.head.target().is_empty())
            }
            V::RequestUri => put(Some(self.head.target()).filter(|t| !t.is_empty()), out),
            V::Request => put(Some(self.head.line()).filter(|t| !t.is_empty()), out),
            // A subrequest is a GET, and says what the client's was.
            V::RequestMethod if self.is_sub => put(Some(self.head.method()), out),
            V::RequestMethod => put(Some(self.method_text()).filter(|t| !t.is_empty()), out),
            V::RequestLength => number(self.request_length, out),
            V::RequestTime => msec(clock::unix_millis().saturating_sub(self.started), out),
            V::RequestId => self.request_id(out),
            V::RequestBody => put(self.body.memory(), out),
            V::RequestBodyFile => put(self.body.path().map(|p| p.as_os_str().as_encoded_bytes()), out),
            V::RequestCompletion => text(if self.completed { "OK" } else { "" }, out),
            V::RequestFilename => self.filename(out),
            V::RequestPort => self.head.port == 0 || number(self.head.port, out),
            V::IsRequestPort => text(if self.head.port == 0 { "" } else { ":" }, out),
            V::ServerProtocol => put(Some(self.head.protocol()).filter(|t| !t.is_empty()), out),
            V::Scheme => text(if self.conn.tls { "https" } else { "http" }, out),
            V::Http2 if self.head.version < Version::HTTP_20 => text("", out),
            V::Http2 => text(if self.conn.tls { "h2" } else { "h2c" }, out),
            V::Https => text(if self.conn.tls { "on" } else { "" }, out),
            V::Host => match self.head.host().filter(|h| !h.is_empty()) {
                Some(host) => text(host, out),
                None => text(&self.server().name, out),
            },
            V::GzipRatio => self.gzip_ratio.is_some_and(|(before, after)| ratio(before, after, out)),
            V::Hostname => text(&*self.thread.hostname, out),
            V::ContentLength => match self.head.get(KnownField::ContentLength) {
                Some(length) => text(length, out),
                // A chunked body that was read, or thrown away, has a length after all.
                None if self.head.framing == Framing::Chunked
                    && (self.is_thrown_away() || !self.body.is_empty()) =>
                {
                    number(self.body.len(), out)
                }
                None => false,
            },
            V::ContentType => put(self.head.get(KnownField::ContentType), out),
            V::DocumentRoot => self.root(out),
            V::RealpathRoot => self.realpath(out),
            V::RemoteAddr => text(&*self.conn.client_text, out),
            V::ConnectionsActive => count(&self.thread.stats.active, out),
            V::ConnectionsReading => count(&self.thread.stats.reading, out),
            V::ConnectionsWaiting => count(&self.thread.stats.waiting, out),
            V::ConnectionsWriting => count(&self.thread.stats.writing, out),
            V::RemotePort => port(self.conn.client, out),
            V::RealipRemoteAddr => match &self.conn.connected {
                Some((_, before)) => text(&**before, out),
                None => text(&*self.conn.client_text, out),
            },
            V::RealipRemotePort => match &self.conn.connected {
                Some((before, _)) => port(*before, out),
                None => port(self.conn.client, out),
            },
            V::BinaryRemoteAddr => match self.conn.client {
                Some(std::net::SocketAddr::V4(a)) => text(a.ip().octets(), out),
                Some(std::net::SocketAddr::V6(a)) => text(a.ip().octets(), out),
                None => text("unix:", out),
            },
            V::RemoteUser => self.remote_user(out),
            V::ProxyAddXForwardedFor => {
                if joined(self.head.iter().map(|(n, v, _)| (n, v)), b"x-forwarded-for", b", ", out) {
                    out.extend_from_slice(b", ");
                }
                text(&*self.conn.client_text, out)
            }
            V::ServerAddr => match &self.conn.local {
                ListenAddr::Inet(a) if a.is_ipv6() => text(format!("{}", a.ip()), out),
                ListenAddr::Inet(a) => text(a.ip().to_string(), out),
                ListenAddr::Unix(path) => {
                    text("unix:", out) && text(path.as_os_str().as_encoded_bytes(), out)
                }
            },
            V::ServerPort => self.conn.local_port() == 0 || number(self.conn.local_port(), out),
            V::ServerName => text(&self.server().name, out),
            V::Connection => number(self.conn.number, out),
            V::ConnectionRequests => number(self.conn.requests, out),
            V::ConnectionTime => msec(clock::unix_millis().saturating_sub(self.conn.started), out),
            V::Msec => msec(clock::unix_millis(), out),
            V::TimeLocal | V::TimeIso8601 => {
                let seconds = i64::try_from(clock::unix_secs()).unwrap_or(0);
                let write = if id == V::TimeLocal { vars::log_time } else { vars::iso8601 };
                write(seconds, self.thread.gmt_offset.get(), out);
                true
            }
            V::NginxVersion => text(super::status::COMPATIBLE_VERSION, out),
            V::Pid => number(self.thread.pid, out),
            V::Pipe => text(".", out),
            V::LimitConnStatus => self.limit_conn.is_some_and(|s| text(s.word(), out)),
            V::LimitReqStatus => self.limit_req.is_some_and(|s| text(s.word(), out)),
            V::LimitRate => number(self.limit_rate.unwrap_or(0), out),
            V::Status => self.status(out),
            V::BytesSent => number(self.bytes_sent, out),
            V::BodyBytesSent => number(self.bytes_sent.saturating_sub(self.header_size), out),
            V::ProxyHost => self.proxy().is_some_and(|p| self.proxy_host(p, out)),
            V::ProxyPort => self.proxy().is_some_and(|p| self.proxy_port(p, out)),
            V::StickyStatus => self.sticky_status.is_some_and(|s| text(s, out)),
            V::StickyPeer => self.sticky_peer.as_deref().is_some_and(|s| text(s, out)),
            V::UpstreamAddr => self.each(out, |a, out| text(a.addr.text(&self.plan), out)),
            V::UpstreamStatus => self.each(out, |a, out| a.status != 0 && number(a.status, out)),
            V::UpstreamConnectTime => self.each(out, |a, out| a.connect_ms.is_some_and(|t| msec(t, out))),
            V::UpstreamHeaderTime => self.each(out, |a, out| a.header_ms.is_some_and(|t| msec(t, out))),
            V::UpstreamResponseTime => self.each(out, |a, out| a.response_ms.is_some_and(|t| msec(t, out))),
            V::UpstreamResponseLength => self.each(out, |a, out| number(a.response_length, out)),
            V::UpstreamBytesReceived => self.each(out, |a, out| number(a.bytes_received, out)),
            V::UpstreamBytesSent => self.each(out, |a, out| number(a.bytes_sent, out)),
            V::ProxyProtocolAddr => put(self.proxied().map(|p| p.client.as_bytes()), out),
            V::ProxyProtocolPort => self.proxied().is_some_and(|p| number(p.client_port, out)),
            V::ProxyProtocolServerAddr => put(self.proxied().map(|p| p.server.as_bytes()), out),
            V::ProxyProtocolServerPort => self.proxied().is_some_and(|p| number(p.server_port, out)),
            V::SslAlpnProtocol
            | V::SslCipher
            | V::SslCiphers
            | V::SslClientCert
            | V::SslClientEscapedCert
            | V::SslClientFingerprint
            | V::SslClientIDn
            | V::SslClientIDnLegacy
            | V::SslClientRawCert
            | V::SslClientSDn
            | V::SslClientSDnLegacy
            | V::SslClientSerial
            | V::SslClientSigalg
            | V::SslClientVEnd
            | V::SslClientVRemain
            | V::SslClientVStart
            | V::SslClientVerify
            | V::SslCurve
            | V::SslCurves
            | V::SslEarlyData
            | V::SslEchOuterServerName
            | V::SslEchStatus
            | V::SslProtocol
            | V::SslServerName
            | V::SslSessionId
            | V::SslSessionReused
            | V::SslSigalg
            | V::SslSigalgs => self.conn.secure.as_ref().is_some_and(|s| s.append(id, out)),
            V::UpstreamCacheStatus
            | V::TcpinfoRcvSpace
            | V::TcpinfoRtt
            | V::TcpinfoRttvar
            | V::TcpinfoSndCwnd => false,
        }
    }

    fn proxied(&self) -> Option<&crate::wire::proxy_protocol::Proxied> {
        self.conn.proxied.as_deref()
    }

    /// One value an attempt; `-` where there is none.
    fn each(&self, out: &mut Vec<u8>, value: impl Fn(&Attempt, &mut Vec<u8>) -> bool) -> bool {
        attempt::join(&self.attempts, out, |a, out| {
            if !value(a, out) {
                out.push(b'-');
            }
        })
    }

    /// nginx does not read such a body of HTTP/2, and knows no length of it.
    fn is_thrown_away(&self) -> bool {
        self.discard_body && self.head.version < Version::HTTP_20
    }

    fn proxy(&self) -> Option<&Proxy> {
        match &self.location().content {
            Content::Proxy(p) => Some(p),
            _ => None,
        }
    }

    /// `$proxy_host`: what `proxy_pass` says, or what its variables say for this request.
    fn proxy_host(&self, proxy: &Proxy, out: &mut Vec<u8>) -> bool {
        let ProxyTo::Variable(template) = &proxy.to else {
            vars::eval(&proxy.host, self, out);
            return true;
        };
        let given = vars::eval_to_vec(template, self);
        let (default_port, given) = without_scheme(&given);
        values::url(given).is_ok_and(|address| {
            match address.host {
                Host::Unix(_) => text("localhost", out),
                _ => text(address.host_text, out),
            };
            if let Some(port) = address.port.filter(|p| *p != default_port) {
                out.push(b':');
                number(port, out);
            }
            true
        })
    }

    fn proxy_port(&self, proxy: &Proxy, out: &mut Vec<u8>) -> bool {
        let ProxyTo::Variable(template) = &proxy.to else { return text(&proxy.port, out) };
        let given = vars::eval_to_vec(template, self);
        let (default_port, given) = without_scheme(&given);
        values::url(given).is_ok_and(|address| match address.host {
            Host::Unix(_) => true,
            _ => number(address.port.unwrap_or(default_port), out),
        })
    }

    fn status(&self, out: &mut Vec<u8>) -> bool {
        let status = match (self.err_status, self.out.status) {
            (0, 0) if self.head.version == Version::HTTP_09 => 9,
            (0, status) | (status, _) => status,
        };
        text(format!("{status:03}"), out)
    }

    fn request_id(&self, out: &mut Vec<u8>) -> bool {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let id = self.id.get().unwrap_or_else(|| {
            let mut id = [0; 16];
            crate::rt::Rng::thread(|r| r.fill(&mut id));
            self.id.set(Some(id));
            id
        });
        out.extend(id.iter().flat_map(|b| [HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]));
        true
    }

    fn root(&self, out: &mut Vec<u8>) -> bool {
        let (Root::Root(path) | Root::Alias { path, .. }) = &self.location().root;
        vars::eval(path, self, out);
        true
    }

    fn realpath(&self, out: &mut Vec<u8>) -> bool {
        let mut path = Vec::new();
        self.root(&mut path);
        let path =
            std::path::PathBuf::from(std::ffi::OsString::from(String::from_utf8_lossy(&path).into_owned()));
        std::fs::canonicalize(path).is_ok_and(|p| text(p.as_os_str().as_encoded_bytes(), out))
    }

    fn filename(&self, out: &mut Vec<u8>) -> bool {
        super::path::map(self, &self.uri, out).is_some()
    }

    /// The name in `Authorization: Basic`.
    fn remote_user(&self, out: &mut Vec<u8>) -> bool {
        put(super::basic::credentials(self).as_ref().map(super::basic::Credentials::user), out)
    }

    fn upstream_cookie(&self, name: &[u8], out: &mut Vec<u8>) -> bool {
        if !self.has_upstream_head {
            return false;
        }
        let lines = self.upstream_head.iter().filter(|(_, _, id)| *id == KnownField::SetCookie);
        let pair = |line: &'_ [u8]| line.split(|&b| b == b';').next().map(<[u8]>::to_vec).unwrap_or_default();
        lines.map(|(_, v, _)| pair(v)).any(|p| put(vars::cookie(&p, name), out))
    }

    /// `$sent_http_NAME`: what the head says, or will say, by itself or in a field.
    fn sent(&self, name: &[u8], out: &mut Vec<u8>) -> bool {
        let head = &self.out;
        match name {
            b"content-type" => put(Some(&head.content_type[..]).filter(|t| !t.is_empty()), out),
            b"content-length" => head.content_length.is_some_and(|n| number(n, out)),
            b"location" if head.location.is_some() => put(head.location.map(|f| head.value(f)), out),
            b"last-modified" if head.last_modified_field.is_none() => head.last_modified.is_some_and(|t| {
                values::push_http_date(out, t);
                true
            }),
            b"connection" if head.status == 101 => text("upgrade", out),
            b"connection" => text(if self.keepalive { "keep-alive" } else { "close" }, out),
            b"keep-alive" => match self.location().keepalive_header {
                Some(t) if self.keepalive => text("timeout=", out) && number(t.as_secs(), out),
                _ => false,
            },
            b"transfer-encoding" => self.chunked && text("chunked", out),
            _ => joined(head.fields(), name, b", ", out),
        }
    }
}

/// A client's port; nothing for a unix socket, and for an address that came without one.
fn port(addr: Option<std::net::SocketAddr>, out: &mut Vec<u8>) -> bool {
    match addr.map(|a| a.port()) {
        None | Some(0) => true,
        Some(port) => number(port, out),
    }
}

/// `2.13` of 2125 to 1000: nginx's rounding.
fn ratio(before: u64, after: u64, out: &mut Vec<u8>) -> bool {
    if after == 0 {
        return false;
    }
    let hundredths =
        before.saturating_mul(100) / after + u64::from(before.saturating_mul(1000) / after % 10 > 4);
    text(format!("{}.{:02}", hundredths / 100, hundredths % 100), out)
}

fn count(counter: &std::sync::atomic::AtomicU64, out: &mut Vec<u8>) -> bool {
    number(counter.load(std::sync::atomic::Ordering::Relaxed), out)
}
