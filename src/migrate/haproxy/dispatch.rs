//! Conditions that names and locations cannot tell: each test a `map`, and one more that finds the first rule that fits.

use std::collections::BTreeMap;

use super::super::model::Line as Out;
use super::acl::{Kind, Match};
use super::proxy::Proxy;
use super::{acl, values};

/// A test and what it must be.
type Literal = (usize, bool);

/// One of these, each of them whole.
pub(super) type Any = Vec<Vec<Literal>>;

/// More alternatives than this are not written out.
const MOST: usize = 64;

/// A variable and the keys of the map that say yes.
#[derive(Debug, PartialEq, Eq)]
struct Test {
    subject: String,
    keys: Vec<String>,
}

/// The tests of a section.
pub(super) struct Dispatch<'a> {
    /// What the names of its maps begin with.
    prefix: String,
    acls: BTreeMap<&'a str, Vec<&'a [String]>>,
    tests: Vec<Test>,
}

impl<'a> Dispatch<'a> {
    pub(super) fn new(proxy: &Proxy<'a>, prefix: &str) -> Self {
        let fit = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let mut acls: BTreeMap<&str, Vec<&[String]>> = BTreeMap::new();
        for line in proxy.all().filter(|l| l.word(0) == "acl") {
            acls.entry(line.word(1)).or_default().push(line.from(2));
        }
        Self { prefix: prefix.chars().map(fit).collect(), acls, tests: Vec::new() }
    }

    /// The condition from `if` or `unless` on; always true without.
    pub(super) fn condition(&mut self, words: &[String]) -> Result<Any, &'static str> {
        let Some((first, rest)) = words.split_first() else { return Ok(vec![Vec::new()]) };
        let any = self.alternatives(rest)?;
        match first.as_str() {
            "if" => Ok(any),
            "unless" => not(&any),
            _ => Err("\"if\" or \"unless\" is expected"),
        }
    }

    fn alternatives(&mut self, words: &[String]) -> Result<Any, &'static str> {
        let mut out = Vec::new();
        let mut all: Any = vec![Vec::new()];
        let mut words = words.iter();
        let mut empty = true;
        while let Some(word) = words.next() {
            if word == "||" || word.eq_ignore_ascii_case("or") {
                out.append(&mut all);
                all = vec![Vec::new()];
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
                self.test(&inside)?
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

    fn named(&mut self, name: &str) -> Result<Any, &'static str> {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let known = match name {
            "TRUE" | "HTTP" => return Ok(vec![Vec::new()]),
            "FALSE" => return Ok(Vec::new()),
            "METH_GET" => "method GET HEAD",
            "METH_HEAD" => "method HEAD",
            "METH_POST" => "method POST",
            "METH_PUT" => "method PUT",
            "METH_DELETE" => "method DELETE",
            "METH_OPTIONS" => "method OPTIONS",
            "METH_TRACE" => "method TRACE",
            "METH_CONNECT" => "method CONNECT",
            "LOCALHOST" => "src 127.0.0.0/8",
            _ => "",
        };
        if !known.is_empty() {
            return self.test(&words(known));
        }
        let tests: Vec<Vec<String>> =
            self.acls.get(name).ok_or("no \"acl\" has this name")?.iter().map(|w| w.to_vec()).collect();
        let mut out = Vec::new();
        for test in tests {
            out.extend(self.test(&test)?);
        }
        Ok(out)
    }

    /// `SAMPLE [FLAGS] VALUE…`
    pub(super) fn test(&mut self, words: &[String]) -> Result<Any, &'static str> {
        let (sample, rest) = words.split_first().ok_or("a test is missing")?;
        let test = test(sample, rest)?;
        let at = match self.tests.iter().position(|t| *t == test) {
            Some(at) => at,
            None => {
                self.tests.push(test);
                self.tests.len() - 1
            }
        };
        Ok(vec![vec![(at, true)]])
    }

    /// The maps of the tests, and one that says which of the rules is the first that fits: its value, `default` otherwise.
    pub(super) fn maps(&self, name: &str, rules: &[(Any, String)], default: &str) -> Vec<Out> {
        let mut key = String::new();
        (0..self.tests.len()).for_each(|i| key.push_str(&format!("${{{}_t{i}}}", self.prefix)));
        let mut inside = Vec::new();
        for (any, value) in rules {
            for all in any {
                let mut pattern = vec!['.'; self.tests.len()];
                let mut never = false;
                for (at, yes) in all {
                    let wanted = if *yes { '1' } else { '0' };
                    if let Some(place) = pattern.get_mut(*at) {
                        never |= *place != '.' && *place != wanted;
                        *place = wanted;
                    }
                }
                if !never {
                    let text: String = pattern.into_iter().collect();
                    inside.push(Out::new(None, [format!("~^{}", text.trim_end_matches('.')), value.clone()]));
                }
            }
        }
        inside.push(Out::new(None, ["default", default]));
        if key.is_empty() {
            key.push('-');
        }
        vec![Out::block(None, ["map".to_owned(), key, format!("${}_{name}", self.prefix)], inside)]
    }

    /// The maps that ask each test.
    pub(super) fn asked(&self) -> Vec<Out> {
        let map = |(i, test): (usize, &Test)| {
            let mut inside: Vec<Out> = test.keys.iter().map(|k| Out::new(None, [k.as_str(), "1"])).collect();
            inside.push(Out::new(None, ["default", "0"]));
            Out::block(
                None,
                ["map".to_owned(), test.subject.clone(), format!("${}_t{i}", self.prefix)],
                inside,
            )
        };
        self.tests.iter().enumerate().map(map).collect()
    }

    pub(super) fn variable(&self, name: &str) -> String {
        format!("${}_{name}", self.prefix)
    }
}

fn not(any: &Any) -> Result<Any, &'static str> {
    let mut out: Any = vec![Vec::new()];
    for all in any {
        let one: Any = all.iter().map(|(at, yes)| vec![(*at, !yes)]).collect();
        out = both(&out, &one)?;
    }
    Ok(out)
}

fn both(left: &Any, right: &Any) -> Result<Any, &'static str> {
    let mut out = Vec::new();
    for a in left {
        for b in right {
            let mut all = a.clone();
            all.extend(b.iter().filter(|l| !a.contains(l)));
            out.push(all);
            if out.len() > MOST {
                return Err("too many alternatives");
            }
        }
    }
    Ok(out)
}

fn test(sample: &str, rest: &[String]) -> Result<Test, &'static str> {
    let (sample, lower) = match sample.split_once(',') {
        Some((sample, "lower")) => (sample, true),
        Some(_) => return Err("converters have no counterpart"),
        None => (sample, false),
    };
    let flags = acl::flags(rest)?;
    let nocase = flags.nocase || lower;
    if sample == "ssl_fc" {
        return Ok(Test { subject: "$https".to_owned(), keys: vec!["on".to_owned()] });
    }
    if sample == "src" {
        let keys = flags.values.iter().map(|v| network(v)).collect::<Option<Vec<_>>>();
        let keys = keys.filter(|k| !k.is_empty()).ok_or("addresses of IPv4 are expected")?;
        return Ok(Test { subject: "$remote_addr".to_owned(), keys });
    }
    let (name, argument) = match sample.split_once('(') {
        Some((name, rest)) => (name, Some(rest.trim_end_matches(')'))),
        None => (sample, None),
    };
    let (stem, by_name) = suffix(name);
    let stem = stem.strip_prefix("req.").unwrap_or(stem);
    let with = |name: &str| {
        argument.and_then(|a| values::sample(&format!("{name}({a})"))).ok_or("no variable has this")
    };
    // A path as it came: what stands before the question mark.
    let (subject, path) = match (stem, argument) {
        ("path", None) => ("$request_uri".to_owned(), true),
        ("url", None) => ("$request_uri".to_owned(), false),
        ("query", None) => ("$args".to_owned(), false),
        ("method", None) => ("$request_method".to_owned(), false),
        ("dst_port", None) => ("$server_port".to_owned(), false),
        ("hdr" | "fhdr", Some(_)) => (with("hdr")?, false),
        ("cook" | "cookie", Some(_)) => (with("cookie")?, false),
        ("urlp" | "url_param", Some(_)) => (with("urlp")?, false),
        _ => return Err("no variable has this"),
    };
    if flags.found {
        return Ok(Test { subject, keys: vec!["~.".to_owned()] });
    }
    let kind = flags.kind.unwrap_or(by_name);
    let host = subject == "$http_host";
    let mut keys = Vec::new();
    for value in &flags.values {
        if value.is_empty() || value.contains(['\n', '\r']) {
            return Err("this value cannot be written");
        }
        if path && kind == Kind::Regex {
            return Err("a regular expression of a path would see the question mark");
        }
        let one = Match { kind, value: value.clone(), nocase };
        let regex = if path { raw_path(&one) } else { one.regex() };
        keys.push(format!("{}{regex}", if nocase || host { "~*" } else { "~" }));
    }
    if keys.is_empty() { Err("a value is missing") } else { Ok(Test { subject, keys }) }
}

/// The regular expression of a path inside a request's target.
fn raw_path(one: &Match) -> String {
    let text = acl::escape(&one.value);
    match one.kind {
        Kind::Exact => format!(r"^{text}(\?|$)"),
        Kind::Begins => format!("^{text}"),
        Kind::Ends => format!(r"^[^?]*{text}(\?|$)"),
        Kind::Contains => format!("^[^?]*{text}"),
        Kind::Folder => format!(r"^([^?]*/)?{}([/?]|$)", acl::escape(one.value.trim_matches('/'))),
        Kind::Domain => format!(r"^([^?]*[./])?{}([./?]|$)", acl::escape(one.value.trim_matches('.'))),
        Kind::Regex => one.value.clone(),
    }
}

/// The name of a sample without its way to compare.
fn suffix(name: &str) -> (&str, Kind) {
    for (end, kind) in [
        ("_beg", Kind::Begins),
        ("_end", Kind::Ends),
        ("_sub", Kind::Contains),
        ("_dir", Kind::Folder),
        ("_dom", Kind::Domain),
        ("_reg", Kind::Regex),
    ] {
        if let Some(stem) = name.strip_suffix(end) {
            return (stem, kind);
        }
    }
    (name, Kind::Exact)
}

/// A network of IPv4 as the regular expression of its addresses.
fn network(text: &str) -> Option<String> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, bits.parse::<u32>().ok().filter(|b| *b <= 32)?),
        None => (text, 32),
    };
    let octets = address.parse::<std::net::Ipv4Addr>().ok()?.octets();
    let mut out = String::from("~^");
    for (i, octet) in octets.iter().enumerate() {
        let left = bits.saturating_sub(8 * u32::try_from(i).ok()?).min(8);
        if i > 0 && left > 0 {
            out.push_str(r"\.");
        }
        match left {
            0 => break,
            8 => out.push_str(&octet.to_string()),
            n => {
                let span = 1u16 << (8 - n);
                let first = u16::from(*octet) / span * span;
                let all: Vec<String> = (first..first + span).map(|o| o.to_string()).collect();
                out.push_str(&format!("({})", all.join("|")));
            }
        }
    }
    // The last octet that counts is whole.
    out.push_str(if bits > 24 {
        "$"
    } else if bits > 0 {
        r"\."
    } else {
        "."
    });
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::network;

    #[test]
    fn networks_are_the_addresses_in_them() {
        for (net, regex) in [
            ("10.0.0.0/8", r"~^10\."),
            ("192.168.1.7", r"~^192\.168\.1\.7$"),
            ("172.16.0.0/15", r"~^172\.(16|17)\."),
            ("10.1.2.252/30", r"~^10\.1\.2\.(252|253|254|255)$"),
            ("0.0.0.0/0", "~^."),
        ] {
            assert_eq!(network(net).as_deref(), Some(regex), "{net}");
        }
        assert_eq!(network("10.0.0.0/33"), None);
    }
}
