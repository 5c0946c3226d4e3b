//! The model as text: nginx's words, Tengine's for sessions, each line with the place it comes from.

use super::input::{Input, Place};
use super::model::{Cookie, Line, Location, Model, Peer, Server, Session, StickyKind, Upstream};

/// The text line by line, with the place of the input that each comes from.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) lines: Vec<(String, Option<Place>)>,
    depth: usize,
}

impl Text {
    pub(super) fn join(&self) -> String {
        let mut out = String::new();
        for (line, _) in &self.lines {
            out.push_str(line);
            out.push('\n');
        }
        out
    }
}

struct Writer<'a> {
    inputs: &'a [Input],
    text: Text,
}

/// Writes the whole.
pub(super) fn write(model: &Model, inputs: &[Input], from: &str) -> Text {
    let mut w = Writer { inputs, text: Text::default() };
    let names: Vec<String> = inputs.iter().map(|i| plain(&i.name)).collect();
    w.raw(format!("# Converted from {from}: {}", names.join(", ")), None);
    w.raw(String::new(), None);
    model.main.iter().for_each(|l| w.line(l));
    w.gap();
    w.open("events", None);
    model.events.iter().for_each(|l| w.line(l));
    w.close();
    w.raw(String::new(), None);
    w.open("http", None);
    model.http.iter().for_each(|l| w.line(l));
    for upstream in &model.upstreams {
        w.gap();
        w.upstream(upstream);
    }
    for server in &model.servers {
        w.gap();
        w.server(server);
    }
    w.close();
    w.text
}

impl Writer<'_> {
    fn raw(&mut self, line: String, cite: Option<Place>) {
        self.text.lines.push((line, cite));
    }

    fn gap(&mut self) {
        let open = |l: &str| l.is_empty() || l.split(" # ").next().is_some_and(|code| code.ends_with('{'));
        if self.text.lines.last().is_some_and(|(l, _)| !open(l)) {
            self.raw(String::new(), None);
        }
    }

    fn put(&mut self, body: &str, cite: Option<Place>) {
        let mut line = "    ".repeat(self.text.depth);
        line.push_str(body);
        if let Some(place) = cite {
            let name = self.inputs.get(place.file).map_or_else(String::new, |i| plain(&i.name));
            line.push_str(&format!(" # {name}:{}", place.line));
        }
        self.raw(line, cite);
    }

    fn open(&mut self, head: &str, cite: Option<Place>) {
        self.put(&format!("{head} {{"), cite);
        self.text.depth += 1;
    }

    fn close(&mut self) {
        self.text.depth = self.text.depth.saturating_sub(1);
        self.put("}", None);
    }

    fn line(&mut self, line: &Line) {
        let words: Vec<String> = line.words.iter().map(|w| quote(w)).collect();
        if let Some(inside) = &line.inside {
            self.open(&words.join(" "), line.cite);
            inside.iter().for_each(|l| self.line(l));
            return self.close();
        }
        let body = format!("{};", words.join(" "));
        match line.needs {
            None => self.put(&body, line.cite),
            Some(what) => self.put(&format!("# needs {what}: {body}"), line.cite),
        }
        if let (Some(says), Some((text, _))) = (&line.says, self.text.lines.last_mut()) {
            text.push_str(if line.cite.is_some() { ": " } else { " # " });
            text.push_str(&plain(says));
        }
    }

    fn upstream(&mut self, u: &Upstream) {
        self.open(&format!("upstream {}", quote(&u.name)), u.cite);
        if let Some(method) = &u.method {
            self.line(method);
        }
        let mut route = false;
        if let Some(sticky) = &u.sticky {
            let words = match &sticky.kind {
                StickyKind::Session(s) => session(s),
                StickyKind::Cookie(c) => {
                    route = true;
                    cookie(c)
                }
                StickyKind::Learn(words) => {
                    ["sticky", "learn"].map(str::to_owned).into_iter().chain(words.clone()).collect()
                }
                StickyKind::Route(words) => {
                    route = true;
                    ["sticky", "route"].map(str::to_owned).into_iter().chain(words.clone()).collect()
                }
            };
            self.line(&Line::new(sticky.cite, words));
        }
        for p in &u.peers {
            let words = peer(p, route, u.sticky.is_some());
            self.line(&Line::new(p.cite, words));
        }
        u.lines.iter().for_each(|l| self.line(l));
        self.close();
    }

    fn server(&mut self, s: &Server) {
        self.open("server", s.cite);
        s.listens.iter().for_each(|l| self.line(l));
        if !s.names.is_empty() {
            let words = std::iter::once("server_name".to_owned()).chain(s.names.iter().cloned());
            self.line(&Line::new(None, words));
        }
        s.lines.iter().for_each(|l| self.line(l));
        for l in &s.locations {
            self.gap();
            self.location(l);
        }
        self.close();
    }

    fn location(&mut self, l: &Location) {
        let head = match l.modifier {
            "" => format!("location {}", quote(&l.path)),
            modifier => format!("location {modifier} {}", quote(&l.path)),
        };
        self.open(&head, l.cite);
        l.lines.iter().for_each(|l| self.line(l));
        self.close();
    }
}

fn session(s: &Session) -> Vec<String> {
    let mut words =
        vec!["session_sticky".to_owned(), format!("cookie={}", s.cookie), format!("mode={}", s.mode)];
    if s.indirect {
        words.push("option=indirect".to_owned());
    }
    words.extend(s.domain.as_ref().map(|d| format!("domain={d}")));
    words.extend(s.path.as_ref().filter(|_| s.mode == "insert").map(|p| format!("path={p}")));
    for (name, seconds) in [("maxage", s.maxage), ("maxidle", s.maxidle), ("maxlife", s.maxlife)] {
        words.extend(seconds.map(|n| format!("{name}={n}")));
    }
    if s.plain {
        words.push("hash=plain".to_owned());
    }
    words.push(format!("fallback={}", if s.fallback { "on" } else { "off" }));
    for (is, word) in [
        (s.secure, "secure"),
        (s.httponly, "httponly"),
        (s.always, "always"),
        (s.nocache, "nocache"),
        (s.postonly, "postonly"),
        (s.preserve, "preserve"),
    ] {
        words.extend(is.then(|| word.to_owned()));
    }
    words.extend(s.samesite.as_ref().map(|v| format!("samesite={v}")));
    words
}

fn cookie(c: &Cookie) -> Vec<String> {
    let mut words = ["sticky", "cookie", &c.name].map(str::to_owned).to_vec();
    words.extend(c.expires.as_ref().map(|e| format!("expires={e}")));
    words.extend(c.domain.as_ref().map(|d| format!("domain={d}")));
    words.extend(c.httponly.then(|| "httponly".to_owned()));
    words.extend(c.secure.then(|| "secure".to_owned()));
    words.extend(c.samesite.as_ref().map(|s| format!("samesite={s}")));
    words.extend(c.path.as_ref().map(|p| format!("path={p}")));
    words
}

fn peer(p: &Peer, route: bool, sticky: bool) -> Vec<String> {
    let mut words = vec!["server".to_owned(), p.address.clone()];
    words.extend(p.service.as_ref().map(|s| format!("service={s}")));
    words.extend(p.resolve.then(|| "resolve".to_owned()));
    if p.weight > 1 {
        words.push(format!("weight={}", p.weight));
    }
    if let Some((fails, timeout)) = p.max_fails {
        words.push(format!("max_fails={fails}"));
        words.extend((fails > 0).then(|| format!("fail_timeout={timeout}s")));
    }
    if p.max_conns > 0 {
        words.push(format!("max_conns={}", p.max_conns));
    }
    words.extend(p.slow_start.as_ref().map(|t| format!("slow_start={t}")));
    if let Some(id) = p.id.as_ref().filter(|_| sticky) {
        words.push(format!("{}={id}", if route { "route" } else { "id" }));
    }
    for (is, word) in [(p.backup, "backup"), (p.down, "down"), (p.drain && !p.down, "drain")] {
        if is {
            words.push(word.to_owned());
        }
    }
    words
}

/// A word as the reader takes it back.
pub(super) fn quote(word: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !matches!(c, ';' | '{' | '}' | '"' | '\'' | '\\');
    if !word.is_empty() && !word.starts_with('#') && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '"' | '\\' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A name inside a comment.
pub(super) fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
