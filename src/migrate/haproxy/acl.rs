//! Conditions on host and path: what of HAProxy's ACLs chooses a server or a location.

use std::collections::BTreeMap;

use super::proxy::Proxy;
use super::read::Line;

/// How a text is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Exact,
    Begins,
    Ends,
    Contains,
    /// Between slashes.
    Folder,
    /// Between dots.
    Domain,
    Regex,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) kind: Kind,
    pub(super) value: String,
    pub(super) nocase: bool,
}

/// All of these at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) host: Option<Match>,
    pub(super) path: Option<Match>,
    /// Over TLS, or not.
    pub(super) tls: Option<bool>,
}

/// One of these.
pub(super) type Any = Vec<Term>;

/// More alternatives than this are not written out.
const MOST: usize = 256;

/// The ACLs of a section by name; lines of one name are alternatives.
pub(super) struct Acls<'a> {
    named: BTreeMap<&'a str, Vec<Result<Any, &'static str>>>,
}

impl<'a> Acls<'a> {
    pub(super) fn read(proxy: &Proxy<'a>) -> Self {
        let mut named: BTreeMap<&str, Vec<Result<Any, &'static str>>> = BTreeMap::new();
        for line in proxy.all().filter(|l| l.word(0) == "acl") {
            named.entry(line.word(1)).or_default().push(test(line.from(2)));
        }
        Self { named }
    }

    /// Whether a line's own test is understood.
    pub(super) fn check(line: &Line) -> Result<(), &'static str> {
        test(line.from(2)).map(|_| ())
    }

    /// The condition from `if` or `unless` on; always true without.
    pub(super) fn condition(&self, words: &[String]) -> Result<Any, &'static str> {
        let Some((first, rest)) = words.split_first() else { return Ok(vec![Term::default()]) };
        let any = self.alternatives(rest)?;
        match first.as_str() {
            "if" => Ok(any),
            "unless" => not(&any),
            _ => Err("\"if\" or \"unless\" is expected"),
        }
    }

    fn alternatives(&self, words: &[String]) -> Result<Any, &'static str> {
        let mut out = Vec::new();
        let mut all: Any = vec![Term::default()];
        let mut words = words.iter();
        let mut empty = true;
        while let Some(word) = words.next() {
            if word == "||" || word.eq_ignore_ascii_case("or") {
                out.append(&mut all);
                all = vec![Term::default()];
                empty = true;
                continue;
            }
            empty = false;
            let (negated, word) = match word.strip_prefix('!') {
                Some("") => (true, words.next().ok_or("a condition is missing after \"!\"")?.as_str()),
                Some(name) => (true, name),
                None => (false, word.as_str()),
            };
            let mut one = if word == "{" {
                let inside: Vec<String> = words.by_ref().take_while(|w| *w != "}").cloned().collect();
                test(&inside)?
            } else {
                self.named(word)?
            };
            if negated {
                one = not(&one)?;
            }
            all = both(&all, &one)?;
        }
        if empty {
            return Err("a condition is missing");
        }
        out.append(&mut all);
        if out.len() > MOST { Err("too many alternatives") } else { Ok(out) }
    }

    fn named(&self, name: &str) -> Result<Any, &'static str> {
        match name {
            "TRUE" | "HTTP" => return Ok(vec![Term::default()]),
            "FALSE" => return Ok(Vec::new()),
            _ => {}
        }
        let tests = self.named.get(name).ok_or("no \"acl\" has this name")?;
        let mut out = Vec::new();
        for test in tests {
            out.extend(test.clone()?);
        }
        Ok(out)
    }
}

fn not(any: &Any) -> Result<Any, &'static str> {
    match any[..] {
        [] => Ok(vec![Term::default()]),
        [Term { host: None, path: None, tls: Some(tls) }] => {
            Ok(vec![Term { tls: Some(!tls), ..Term::default() }])
        }
        [Term { host: None, path: None, tls: None }] => Ok(Vec::new()),
        _ => Err("what is not a host or a path has no counterpart"),
    }
}

fn both(left: &Any, right: &Any) -> Result<Any, &'static str> {
    let mut out = Vec::new();
    for a in left {
        for b in right {
            if a.tls.is_some() && b.tls.is_some() && a.tls != b.tls {
                continue;
            }
            if (a.host.is_some() && b.host.is_some() && a.host != b.host)
                || (a.path.is_some() && b.path.is_some() && a.path != b.path)
            {
                return Err("two conditions on the host or on the path at once have no counterpart");
            }
            out.push(Term {
                host: a.host.clone().or(b.host.clone()),
                path: a.path.clone().or(b.path.clone()),
                tls: a.tls.or(b.tls),
            });
            if out.len() > MOST {
                return Err("too many alternatives");
            }
        }
    }
    Ok(out)
}

/// What stands behind a sample.
pub(super) struct Flags {
    pub(super) nocase: bool,
    pub(super) kind: Option<Kind>,
    /// `-m found`
    pub(super) found: bool,
    pub(super) values: Vec<String>,
}

/// Reads the flags and values behind a sample.
pub(super) fn flags(words: &[String]) -> Result<Flags, &'static str> {
    let mut out = Flags { nocase: false, kind: None, found: false, values: Vec::new() };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-i" if out.values.is_empty() => out.nocase = true,
            "-n" if out.values.is_empty() => {}
            "-m" if out.values.is_empty() => {
                out.kind = Some(match rest.next().map(String::as_str) {
                    Some("str") => Kind::Exact,
                    Some("beg") => Kind::Begins,
                    Some("end") => Kind::Ends,
                    Some("sub") => Kind::Contains,
                    Some("dir") => Kind::Folder,
                    Some("dom") => Kind::Domain,
                    Some("reg") => Kind::Regex,
                    Some("found") => {
                        out.found = true;
                        continue;
                    }
                    _ => return Err("this way to compare has no counterpart"),
                });
            }
            "-f" | "-M" | "-u" if out.values.is_empty() => return Err("values of a file: write them out"),
            "--" if out.values.is_empty() => out.values.extend(rest.by_ref().cloned()),
            value => out.values.push(value.to_owned()),
        }
    }
    Ok(out)
}

/// `SAMPLE [FLAGS] VALUE…`
fn test(words: &[String]) -> Result<Any, &'static str> {
    let (sample, rest) = words.split_first().ok_or("a test is missing")?;
    let (sample, lower) = match sample.split_once(',') {
        Some((sample, "lower")) => (sample, true),
        Some((sample, "field(1,:)" | "field(1,:),lower")) => (sample, true),
        Some(_) => return Err("converters have no counterpart"),
        None => (sample.as_str(), false),
    };
    let flags = flags(rest)?;
    if flags.found {
        return Err("this way to compare has no counterpart");
    }
    let (nocase, kind, values) = (lower || flags.nocase, flags.kind, flags.values);
    if sample == "ssl_fc" {
        return Ok(vec![Term { tls: Some(true), ..Term::default() }]);
    }
    let (host, by_name) = subject(sample).ok_or("only hosts and paths choose here")?;
    let kind = kind.unwrap_or(by_name);
    if values.is_empty() {
        return Err("a value is missing");
    }
    let mut out = Vec::new();
    for value in values {
        if value.is_empty() || value.contains(['\n', '\r']) {
            return Err("this value cannot be written");
        }
        let value = if host && kind != Kind::Regex { value.to_ascii_lowercase() } else { value };
        let one = Match { kind, value, nocase: nocase || host };
        let term = if host {
            Term { host: Some(one), ..Term::default() }
        } else {
            Term { path: Some(one), ..Term::default() }
        };
        out.push(term);
    }
    Ok(out)
}

/// Whether a sample is the host (or the path), and how it is compared by its name.
fn subject(sample: &str) -> Option<(bool, Kind)> {
    let kind = |suffix: &str| {
        Some(match suffix {
            "" => Kind::Exact,
            "_beg" => Kind::Begins,
            "_end" => Kind::Ends,
            "_sub" => Kind::Contains,
            "_dir" => Kind::Folder,
            "_dom" => Kind::Domain,
            "_reg" => Kind::Regex,
            _ => return None,
        })
    };
    if let Some((name, header)) = sample.split_once('(') {
        let header = header.trim_end_matches(')').split(',').next().unwrap_or_default();
        let name = name.strip_prefix("req.").unwrap_or(name);
        let suffix = name.strip_prefix("fhdr").or_else(|| name.strip_prefix("hdr"))?;
        return header.trim().eq_ignore_ascii_case("host").then(|| kind(suffix)).flatten().map(|k| (true, k));
    }
    let suffix = sample.strip_prefix("path").or_else(|| sample.strip_prefix("url"))?;
    kind(suffix).map(|k| (false, k))
}

/// A text as a regular expression that matches it alone.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "\\.+*?()[]{}|^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

impl Match {
    /// The regular expression of the match.
    pub(super) fn regex(&self) -> String {
        let text = escape(&self.value);
        match self.kind {
            Kind::Exact => format!("^{text}$"),
            Kind::Begins => format!("^{text}"),
            Kind::Ends => format!("{text}$"),
            Kind::Contains => text,
            Kind::Folder => format!("(^|/){}(/|$)", escape(self.value.trim_matches('/'))),
            Kind::Domain => format!("(^|\\.){}(\\.|$)", escape(self.value.trim_matches('.'))),
            Kind::Regex => self.value.clone(),
        }
    }

    /// Whether a host of which the name is known matches; `None`: only a regular expression knows.
    pub(super) fn takes(&self, host: &str) -> Option<bool> {
        Some(match self.kind {
            Kind::Exact => host == self.value,
            Kind::Begins => host.starts_with(&self.value),
            Kind::Ends => host.ends_with(&self.value),
            Kind::Contains => host.contains(&self.value),
            Kind::Domain => {
                let value = self.value.trim_matches('.');
                format!(".{host}.").contains(&format!(".{value}."))
            }
            Kind::Folder => host == self.value,
            Kind::Regex => return None,
        })
    }
}
