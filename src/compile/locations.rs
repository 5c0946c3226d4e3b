//! Servers and locations: inheritance carried out level by level, what does not change shared.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::Builder;
use super::proxy::Redirects;
use crate::config::{
    self, Access, AddHeader, Core, Encoding, ExpiresSetting, Found, Gate, Headers, Level, Limit, Location,
    Proxy, ProxyTls, RealIp, Referer, Server, Srv, Step, Text, TryFile, sticky,
};
use crate::diag::Severity;
use crate::plan::{
    self, Content, ErrorTo, LocId, LocMatch, LocSet, Root, ServerId, StatusFormat, Template, TryFiles,
    TryLast,
};

/// The settings in effect at a level; a family that a level leaves alone is its parent's.
#[derive(Clone)]
pub struct Effective {
    core: Rc<Core>,
    headers: Rc<Headers>,
    access: Option<Rc<Access>>,
    encoding: Rc<Encoding>,
    gate: Rc<Gate>,
    limit: Rc<Limit>,
    referer: Rc<Referer>,
    real_ip: Rc<RealIp>,
    pub proxy: Rc<Proxy>,
    pub proxy_tls: Rc<ProxyTls>,
    pub sticky: Rc<sticky::Hiding>,
    pub redirects: Redirects,
    set: Option<Arc<LocSet>>,
    /// The compiled `proxy`, made when a location first needs it.
    pub proxy_set: Rc<std::cell::OnceCell<Arc<plan::ProxySet>>>,
    /// The same of `proxy_tls`; `None`: it was refused.
    pub proxy_tls_set: Rc<std::cell::OnceCell<Option<Arc<plan::ProxyTls>>>>,
}

impl Effective {
    fn top() -> Self {
        Self {
            core: Rc::default(),
            headers: Rc::default(),
            access: None,
            encoding: Rc::default(),
            gate: Rc::default(),
            limit: Rc::default(),
            referer: Rc::default(),
            real_ip: Rc::default(),
            proxy: Rc::default(),
            proxy_tls: Rc::default(),
            sticky: Rc::default(),
            redirects: Redirects::default(),
            set: None,
            proxy_set: Rc::default(),
            proxy_tls_set: Rc::default(),
        }
    }

    /// What holds inside a level.
    fn enter(&self, level: &Level) -> Self {
        let mut inner = self.clone();
        if let Some(core) = &level.core {
            let mut core = (**core).clone();
            core.inherit(&self.core);
            inner.core = Rc::new(core);
            inner.set = None;
        }
        if let Some(headers) = &level.headers {
            let mut headers = (**headers).clone();
            headers.merge(&self.headers);
            inner.headers = Rc::new(headers);
            inner.set = None;
        }
        if let Some(access) = &level.access {
            inner.access = Some(Rc::new((**access).clone()));
            inner.set = None;
        }
        if let Some(encoding) = &level.encoding {
            let mut encoding = (**encoding).clone();
            encoding.merge(&self.encoding);
            inner.encoding = Rc::new(encoding);
            inner.set = None;
        }
        if let Some(gate) = &level.gate {
            let mut gate = (**gate).clone();
            gate.inherit(&self.gate);
            inner.gate = Rc::new(gate);
            inner.set = None;
        }
        if let Some(referer) = &level.referer {
            let mut referer = (**referer).clone();
            referer.merge(&self.referer);
            inner.referer = Rc::new(referer);
            inner.set = None;
        }
        if let Some(limit) = &level.limit {
            let mut limit = (**limit).clone();
            limit.inherit(&self.limit);
            inner.limit = Rc::new(limit);
            inner.set = None;
        }
        if let Some(real_ip) = &level.real_ip {
            let mut real_ip = (**real_ip).clone();
            real_ip.inherit(&self.real_ip);
            inner.real_ip = Rc::new(real_ip);
            inner.set = None;
        }
        if let Some(proxy) = &level.proxy {
            let mut proxy = (**proxy).clone();
            proxy.inherit(&self.proxy);
            inner.proxy = Rc::new(proxy);
            inner.proxy_set = Rc::default();
        }
        if let Some(tls) = &level.proxy_tls {
            let mut tls = (**tls).clone();
            tls.inherit(&self.proxy_tls);
            inner.proxy_tls = Rc::new(tls);
            inner.proxy_tls_set = Rc::default();
        }
        if let Some(sticky) = &level.sticky {
            inner.sticky = Rc::new((**sticky).clone());
            inner.proxy_set = Rc::default();
        }
        inner
    }
}

/// Named locations of a server.
type Named = HashMap<Box<[u8]>, LocId>;

/// Makes the plan's servers and locations; the numbers of locations are those of the settings.
pub fn compile(b: &mut Builder<'_>) {
    let http = b.http;
    let top = Effective::top().enter(&http.level);
    b.read_passwords(&http.level);
    let children = children(&http.locations);
    let mut open: Vec<Option<Effective>> = vec![None; http.locations.len()];
    let mut named = Rc::new(Named::new());
    for (i, location) in http.locations.iter().enumerate() {
        let outer = location.parent.and_then(|p| open.get(p)).and_then(Option::as_ref).unwrap_or(&top);
        let mut inner = outer.enter(&location.level);
        b.read_passwords(&location.level);
        if location.parent.is_none() {
            named = Rc::new(names(&http.locations, children.get(i)));
            // Error pages name the locations of this server, so no set is shared over servers.
            inner.set = None;
        }
        b.redirects(location, &mut inner);
        if location.level.proxy.is_some() || location.parent.is_none() {
            check_buffers(&inner.proxy, b.found, http.close);
        }
        if location.level.proxy.is_some() || (location.parent.is_none() && http.level.proxy.is_some()) {
            // Its variables must be known even where nothing is passed.
            b.proxy_settings(&inner);
        }
        let set = match &inner.set {
            Some(set) => set.clone(),
            None => Arc::new(b.loc_set(&inner, &named, location)),
        };
        inner.set = Some(set.clone());
        let router = b.router(children.get(i).map_or(&[][..], Vec::as_slice));
        let compiled = b.location(location, &inner, &named, router, set);
        b.plan.locations.push(compiled);
        if children.get(i).is_some_and(|c| !c.is_empty())
            && let Some(slot) = open.get_mut(i)
        {
            *slot = Some(inner);
        }
        if location.parent.is_none()
            && let Some(server) = http.servers.get(location.server)
        {
            let server = b.server(server, LocId(i as u32), named.as_ref().clone());
            b.plan.servers.push(server);
        }
    }
}

/// The numbers of the locations directly inside each.
fn children(locations: &[Location]) -> Vec<Vec<u32>> {
    let mut children = vec![Vec::new(); locations.len()];
    for (i, location) in locations.iter().enumerate() {
        if let Some(list) = location.parent.and_then(|p| children.get_mut(p)) {
            list.push(i as u32);
        }
    }
    children
}

fn names(locations: &[Location], inside: Option<&Vec<u32>>) -> Named {
    let mut named = Named::new();
    for &i in inside.into_iter().flatten() {
        if let Some(location) = locations.get(i as usize).filter(|l| l.kind == LocMatch::Named) {
            named.entry(location.name.clone()).or_insert(LocId(i));
        }
    }
    named
}

/// nginx's rules for the sizes of proxy buffers.
fn check_buffers(proxy: &Proxy, found: &mut Found, close: Option<config::Place>) {
    let mut say = |words: &str| {
        found.late(close, Step::Merge, Severity::Emerg, close, words);
    };
    let (count, each) = proxy.buffers();
    if count < 2 {
        return say("there must be at least 2 \"proxy_buffers\"");
    }
    let size = proxy.buffer_size().max(each);
    let of = "the maximum of the value of \"proxy_buffer_size\" and one of the \"proxy_buffers\"";
    let busy = proxy.busy_buffers_size().unwrap_or(2 * size);
    if busy < size {
        return say(&format!("\"proxy_busy_buffers_size\" must be equal to or greater than {of}"));
    }
    if busy > (count - 1).saturating_mul(each) {
        return say(
            "\"proxy_busy_buffers_size\" must be less than the size of all \"proxy_buffers\" minus one buffer",
        );
    }
    if proxy.temp_file_write_size().unwrap_or(2 * size) < size {
        return say(&format!("\"proxy_temp_file_write_size\" must be equal to or greater than {of}"));
    }
    let max = proxy.max_temp_file_size();
    if max != 0 && max < size {
        say(&format!(
            "\"proxy_max_temp_file_size\" must be equal to zero to disable temporary files usage or must be \
             equal to or greater than {of}"
        ));
    }
}

/// The largest frame of HTTP/2 (RFC 9113, section 4.2).
const MAX_FRAME: usize = (1 << 24) - 1;

impl<'a> Builder<'a> {
    fn server(&mut self, server: &Server, root: LocId, named: Named) -> plan::Server {
        let mut srv: Srv = server.srv.clone();
        srv.inherit(&self.http.srv);
        if srv.large_buffers().1 < srv.connection_pool_size() {
            let words = "the \"large_client_header_buffers\" size must be equal to or greater than \
                         \"connection_pool_size\"";
            self.found.late(self.http.close, Step::MergeCore, Severity::Emerg, self.http.close, words);
        }
        let name = match server.names.first() {
            None => Box::default(),
            Some(config::ServerName::Regex(p)) => [b"~", &p.text[..]].concat().into(),
            Some(config::ServerName::Text(t)) => t.strip_prefix(b".").unwrap_or(t).into(),
        };
        let (tls, reject_handshake, verify_client) = self.tls(server);
        let location = self.plan.locations.get(root.ix());
        plan::Server {
            name,
            root,
            router: location.map(|l| l.router.clone()).unwrap_or_default(),
            named,
            header_timeout: srv.header_timeout(),
            header_buffer: srv.header_buffer(),
            large_buffers: srv.large_buffers(),
            ignore_invalid_headers: srv.ignore_invalid_headers(),
            underscores_in_headers: srv.underscores_in_headers(),
            merge_slashes: srv.merge_slashes(),
            max_headers: usize::try_from(srv.max_headers()).unwrap_or(usize::MAX),
            http2: plan::Http2 {
                on: srv.http2(),
                streams: u32::try_from(srv.http2_streams()).unwrap_or(u32::MAX),
                preread: u32::try_from(srv.http2_preread()).unwrap_or(u32::MAX),
            },
            tls,
            reject_handshake,
            verify_client,
        }
    }

    fn location(
        &mut self,
        location: &'a Location,
        inner: &Effective,
        named: &Named,
        router: plan::LocRouter,
        set: Arc<LocSet>,
    ) -> plan::Location {
        let content = match self.content(location) {
            config::Content::Static => Content::Static,
            config::Content::StubStatus => Content::StubStatus,
            config::Content::EmptyGif => Content::EmptyGif,
            config::Content::CheckStatus => Content::CheckStatus(self.status_format(location)),
            config::Content::Proxy(pass) => match self.proxy(location, pass, inner) {
                Some(proxy) => Content::Proxy(Box::new(proxy)),
                None => Content::Static,
            },
        };
        plan::Location {
            kind: location.kind.clone(),
            name: location.name.clone(),
            server: ServerId(location.server as u32),
            at: location.at,
            router,
            auto_redirect: matches!(content, Content::Proxy(_)) && location.name.ends_with(b"/"),
            content,
            own_content: location.own_content,
            limit_except: location.limit_except.as_ref().map(|(methods, loc)| {
                Box::new(plan::LimitExcept { methods: methods.clone(), loc: LocId(*loc as u32) })
            }),
            program: self.program(location),
            try_files: location.try_files.as_ref().map(|t| self.try_files(t, named)),
            set,
        }
    }

    /// What answers in a location; in an `if`, unless it says so itself, what does in the location around it. A
    /// `limit_except` takes over no more than `proxy_pass`.
    fn content(&self, location: &'a Location) -> &'a config::Content {
        let http = self.http;
        let mut at = location;
        while at.kind == LocMatch::If && !at.own_content {
            let Some(outer) = at.parent.and_then(|p| http.locations.get(p)) else { break };
            at = outer;
        }
        if at.kind == LocMatch::LimitExcept && !at.own_content {
            let outer = at.parent.and_then(|p| http.locations.get(p)).map(|outer| &outer.content);
            return outer.filter(|c| matches!(c, config::Content::Proxy(_))).unwrap_or(&at.content);
        }
        &at.content
    }

    /// The innermost `check_status FORMAT` around a location.
    fn status_format(&self, location: &'a Location) -> StatusFormat {
        let outer = |at: &&'a Location| at.parent.and_then(|p| self.http.locations.get(p));
        std::iter::successors(Some(location), outer)
            .find_map(|l| l.status_format)
            .unwrap_or(StatusFormat::Html)
    }

    fn try_files(&mut self, files: &[TryFile], named: &Named) -> TryFiles {
        let mut tries = Vec::new();
        let mut last = TryLast::Code(404);
        for file in files {
            match file {
                TryFile::File { path, dir } => {
                    tries.push(plan::TryFile { path: self.names.template(path), dir: *dir });
                }
                TryFile::Code(code) => last = TryLast::Code(*code),
                TryFile::Last(text) => {
                    last = match self.named(text, named) {
                        Some(Ok(id)) => TryLast::Named(id),
                        Some(Err(name)) => TryLast::NamedMissing(name),
                        None => TryLast::Uri(self.names.template(text)),
                    }
                }
            }
        }
        TryFiles { tries, last }
    }

    /// A text that names a location: that location, or the name if the server has none of it.
    fn named(&mut self, text: &Text, named: &Named) -> Option<Result<LocId, Box<[u8]>>> {
        let name = text.as_plain().filter(|t| t.first() == Some(&b'@'))?;
        Some(named.get(name).copied().ok_or_else(|| name.into()))
    }

    fn headers(&mut self, headers: &[AddHeader]) -> Vec<plan::AddHeader> {
        let one = |h: &AddHeader, this: &mut Self| plan::AddHeader {
            name: h.name.clone(),
            value: this.names.template(&h.value),
            always: h.always,
        };
        headers.iter().map(|h| one(h, self)).collect()
    }

    fn error_pages(&mut self, core: &Core, named: &Named) -> Vec<plan::ErrorPage> {
        let mut pages = Vec::new();
        for page in core.error_pages() {
            let to = match self.named(&page.uri, named) {
                Some(Ok(id)) => ErrorTo::Named(id),
                Some(Err(name)) => ErrorTo::NamedMissing(name),
                None => ErrorTo::Uri(self.names.template(&page.uri)),
            };
            pages.push(plan::ErrorPage { status: page.status, overwrite: page.overwrite, to });
        }
        pages
    }

    fn root(&mut self, root: &config::Root) -> Root {
        let path = if root.is_default {
            use std::os::unix::ffi::OsStrExt;
            Template::text(self.prefix.join("html").as_os_str().as_bytes())
        } else {
            self.names.template(&root.path)
        };
        if root.alias { Root::Alias { path, replaces: root.replaces } } else { Root::Root(path) }
    }

    /// `auth_basic` where it is on; nginx asks nobody without a file.
    fn basic(&mut self, gate: &Gate) -> Option<Box<plan::BasicAuth>> {
        let realm = gate.realm().filter(|r| r.as_plain() != Some(b"off"))?;
        let users = gate.users()?;
        Some(Box::new(plan::BasicAuth {
            realm: self.names.template(&realm),
            users: self.names.template(&users),
            folder: self.folder.to_owned(),
        }))
    }

    fn auth_request(&mut self, gate: &Gate) -> Option<Box<plan::AuthRequest>> {
        let uri = gate.auth_request();
        let set = gate.auth_request_set();
        let set = set.iter().map(|(name, value)| (self.set_to(name), self.names.template(value))).collect();
        (!uri.is_empty()).then(|| Box::new(plan::AuthRequest { uri, set }))
    }

    fn loc_set(&mut self, at: &Effective, named: &Named, location: &Location) -> LocSet {
        let (own_referers, server) = (location.level.referer.is_some(), location.server);
        let core = at.core.clone();
        let (keepalive_timeout, keepalive_header) = core.keepalive();
        let expires = match at.headers.expires() {
            ExpiresSetting::Fixed(expires) => expires,
            ExpiresSetting::Variable { modified, value } => {
                plan::Expires::Variable { modified, value: self.names.template(&value) }
            }
        };
        LocSet {
            internal: core.internal(),
            gate: at.gate.rules(),
            referers: self.referers(own_referers, &at.referer.referers(), server),
            limits: self.limits(&at.limit),
            basic: self.basic(&at.gate),
            auth_request: self.auth_request(&at.gate),
            satisfy_any: at.gate.satisfy_any(),
            auth_delay: at.gate.auth_delay(),
            real_ip: Some(at.real_ip.from()).filter(|from| !from.is_empty()).map(|from| plan::RealIp {
                from,
                field: at.real_ip.field(),
                recursive: at.real_ip.recursive(),
            }),
            root: self.root(&core.root()),
            index: core.index().iter().map(|t| self.names.template(t)).collect(),
            error_pages: self.error_pages(&core, named),
            recursive_error_pages: core.recursive_error_pages(),
            types: core.types(),
            default_type: core.default_type(),
            add_headers: self.headers(&at.headers.add_headers()),
            add_trailers: self.headers(&at.headers.add_trailers()),
            expires,
            etag: core.etag(),
            encoding: self.encoding(&at.encoding),
            if_modified_since: core.if_modified_since(),
            server_tokens: core.server_tokens(),
            absolute_redirect: core.absolute_redirect(),
            server_name_in_redirect: core.server_name_in_redirect(),
            port_in_redirect: core.port_in_redirect(),
            msie_padding: core.msie_padding(),
            msie_refresh: core.msie_refresh(),
            max_ranges: core.max_ranges(),
            log_not_found: core.log_not_found(),
            log_subrequest: core.log_subrequest(),
            resolver: core.resolver().and_then(|r| self.resolver(&r)),
            resolver_timeout: core.resolver_timeout(),
            rewrite_log: core.rewrite_log(),
            uninitialized_variable_warn: core.uninitialized_variable_warn(),
            max_body: core.max_body(),
            body_buffer: core.body_buffer(),
            body_timeout: core.body_timeout(),
            body_temp_path: self.prefix.join(core.body_temp_path()),
            body_in_file: core.body_in_file(),
            send_timeout: core.send_timeout(),
            keepalive_timeout,
            keepalive_header,
            keepalive_disable: plan::KeepaliveDisable {
                msie6: core.keepalive_disable() & config::MSIE6 != 0,
                safari: core.keepalive_disable() & config::SAFARI != 0,
            },
            keepalive_requests: core.keepalive_requests(),
            keepalive_time: core.keepalive_time(),
            lingering: core.lingering(),
            lingering_time: core.lingering_time(),
            lingering_timeout: core.lingering_timeout(),
            reset_timedout: core.reset_timedout(),
            http2_chunk: core.http2_chunk().min(MAX_FRAME),
            chunked_transfer_encoding: core.chunked_transfer_encoding(),
            tcp_nodelay: core.tcp_nodelay(),
            sendfile: core.sendfile(),
            limit_rate: core.limit_rate().map(|t| self.names.template(&t)),
            limit_rate_after: core.limit_rate_after().map(|t| self.names.template(&t)),
            access_logs: self.access_logs(at.access.as_ref().map(|a| a.access_logs()).as_ref()),
            error_logs: match &core.error_logs {
                Some(logs) => logs.clone(),
                None => self.plan.process.error_logs.clone(),
            },
        }
    }
}
