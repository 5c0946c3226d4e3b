//! What a test of HAProxy's asks: a host, a path, TLS, or a variable and the texts that say yes.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::matches::{Kind, Match, escape, network};
use super::proxy::Proxy;
use super::users::Users;
use super::{Cx, values};

/// What is lost with a test that cannot be asked; the later, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    /// How busy or how well the servers are.
    Load,
    /// What is asked for.
    What,
    /// How much one client asks for.
    Rate,
    /// Who asks.
    Who,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    Always,
    Never,
    /// One of these; `bare`: without the port.
    Host {
        any: Vec<Match>,
        bare: bool,
    },
    Path(Vec<Match>),
    Tls,
    /// A variable, or a text of several, and the keys of a map that say yes.
    Keys {
        subject: String,
        keys: Vec<String>,
    },
    Unknown {
        why: &'static str,
        loss: Loss,
        text: String,
    },
}

/// The variable of the path as it came.
pub(super) const RAW_PATH: &str = "$haproxy_path";

/// What samples may mean in a section.
pub(super) struct Context {
    users: Rc<Users>,
    /// What reads the files that conditions name.
    read: Option<fn(&str) -> Option<String>>,
    /// `http-request set-var` without a condition: the sample of each variable.
    vars: BTreeMap<String, String>,
}

impl Context {
    pub(super) fn new(cx: &Cx, proxy: &Proxy<'_>) -> Self {
        let mut vars: BTreeMap<String, Option<String>> = BTreeMap::new();
        for line in proxy.own() {
            let name = line.word(1).strip_prefix("set-var(").and_then(|r| r.split_once(')'));
            let Some((name, _)) = name else { continue };
            let plain = super::frontend::condition(line).is_empty() && line.word(0) == "http-request";
            // Said twice it depends on when it is asked.
            let value = (plain && !vars.contains_key(name)).then(|| line.from(2).join(""));
            vars.insert(name.to_owned(), value);
        }
        let vars = vars.into_iter().filter_map(|(name, sample)| Some((name, sample?))).collect();
        Self { users: cx.users.clone(), read: cx.asked.read, vars }
    }

    /// The sample that a variable stands for, or the sample itself.
    pub(super) fn sample<'s>(&'s self, sample: &'s str) -> &'s str {
        let name = sample.strip_prefix("var(").and_then(|r| r.strip_suffix(')'));
        name.and_then(|n| self.vars.get(n)).map_or(sample, String::as_str)
    }
}

/// What the names mean that HAProxy itself gives.
pub(super) fn predefined(name: &str) -> Option<&'static str> {
    Some(match name {
        "METH_GET" => "method GET HEAD",
        "METH_HEAD" => "method HEAD",
        "METH_POST" => "method POST",
        "METH_PUT" => "method PUT",
        "METH_DELETE" => "method DELETE",
        "METH_OPTIONS" => "method OPTIONS",
        "METH_TRACE" => "method TRACE",
        "METH_CONNECT" => "method CONNECT",
        "LOCALHOST" => "src 127.0.0.0/8",
        "HTTP_1.0" => "req.ver 1.0",
        "HTTP_1.1" => "req.ver 1.1",
        "HTTP_2.0" => "req.ver 2.0",
        "HTTP_URL_STAR" => "url *",
        "HTTP_URL_SLASH" => "url_beg /",
        _ => return None,
    })
}

/// What stands behind a sample.
struct Flags {
    nocase: bool,
    kind: Option<Kind>,
    /// `-m found`
    found: bool,
    values: Vec<String>,
}

fn flags(context: &Context, words: &[String]) -> Result<Flags, &'static str> {
    let mut out = Flags { nocase: false, kind: None, found: false, values: Vec::new() };
    let mut rest = words.iter();
    let mut from = Vec::new();
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
                    // Addresses and truths are compared so anyway.
                    Some("ip" | "bool") => continue,
                    Some("found") => {
                        out.found = true;
                        continue;
                    }
                    _ => return Err("this way to compare has no counterpart"),
                });
            }
            "-f" if out.values.is_empty() => {
                let path = rest.next().map_or("", String::as_str);
                let text = context
                    .read
                    .and_then(|read| read(path))
                    .ok_or("values of a file that is not here: write them out")?;
                let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
                from.extend(lines.map(str::to_owned));
                if from.len() > MOST_VALUES {
                    return Err("too many values of a file");
                }
            }
            "-M" | "-u" if out.values.is_empty() => return Err("values of a map's file: write them out"),
            "--" if out.values.is_empty() => out.values.extend(rest.by_ref().cloned()),
            value => out.values.push(value.to_owned()),
        }
    }
    out.values.extend(from);
    Ok(out)
}

/// More values of a file than this make no map that somebody could look over.
const MOST_VALUES: usize = 2_000;

/// `SAMPLE [FLAGS] VALUE…`: alternatives, of which some may be beyond what can be asked.
pub(super) fn read(context: &Context, words: &[String]) -> Vec<Ask> {
    let text = words.join(" ");
    let Some((sample, rest)) = words.split_first() else {
        return vec![Ask::Unknown { why: "a test is missing", loss: Loss::Who, text }];
    };
    let sample = context.sample(sample);
    let unknown = |why, text: &str| Ask::Unknown { why, loss: loss(sample), text: text.to_owned() };
    let (name, argument) = split(sample);
    let result = match name {
        "src" => flags(context, rest).map(|f| f.values.iter().map(|v| (v.clone(), network(v))).collect()),
        "hdr_ip" | "req.hdr_ip" => {
            let subject = values::sample(&format!("hdr({argument})"));
            return match (subject, flags(context, rest)) {
                (Some(subject), Ok(flags)) => {
                    let listed = |key: String| match key.split_once("~^").or(key.split_once("~*^")) {
                        Some((_, regex)) => format!("~*(^|[ ,]){regex}"),
                        None => format!("~(^|[ ,]){}($|[ ,])", escape(&key)),
                    };
                    let ask = |v: &String| match network(v) {
                        Some(key) => Ask::Keys { subject: subject.clone(), keys: vec![listed(key)] },
                        None => unknown("addresses of IPv4 are expected", &format!("{sample} {v}")),
                    };
                    merged(flags.values.iter().map(ask).collect())
                }
                _ => vec![unknown("no variable has this", &text)],
            };
        }
        _ => {
            return match one(context, sample, rest) {
                Ok(ask) => vec![ask],
                Err(why) => vec![unknown(why, &text)],
            };
        }
    };
    let result: Result<Vec<(String, Option<String>)>, _> = result;
    match result {
        Ok(list) if list.is_empty() => vec![unknown("addresses are expected", &text)],
        Ok(list) => {
            let ask = |(value, key): (String, Option<String>)| match key {
                Some(key) => Ask::Keys { subject: "$remote_addr".to_owned(), keys: vec![key] },
                None => unknown("networks of IPv4 and addresses are expected", &format!("src {value}")),
            };
            merged(list.into_iter().map(ask).collect())
        }
        Err(why) => vec![unknown(why, &text)],
    }
}

/// Alternatives of one variable as one test.
fn merged(asks: Vec<Ask>) -> Vec<Ask> {
    let mut out: Vec<Ask> = Vec::new();
    for ask in asks {
        match (out.first_mut(), ask) {
            (Some(Ask::Keys { keys, .. }), Ask::Keys { keys: more, .. }) => keys.extend(more),
            (_, ask @ Ask::Keys { .. }) => out.insert(0, ask),
            (_, ask) => out.push(ask),
        }
    }
    out
}

/// The name of a sample and what stands in its brackets.
fn split(sample: &str) -> (&str, &str) {
    let first = converters(sample).0;
    first.split_once('(').map_or((first, ""), |(name, rest)| (name, rest.strip_suffix(')').unwrap_or(rest)))
}

/// A sample and its converters: the comma outside of brackets.
fn converters(sample: &str) -> (&str, Option<&str>) {
    let mut depth = 0u32;
    for (at, c) in sample.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                return (sample.get(..at).unwrap_or(sample), sample.get(at + 1..));
            }
            _ => {}
        }
    }
    (sample, None)
}

/// What is lost with a sample that cannot be asked.
fn loss(sample: &str) -> Loss {
    const LOAD: [&str; 20] = [
        "nbsrv",
        "srv_is_up",
        "srv_conn",
        "srv_queue",
        "srv_sess_rate",
        "srv_weight",
        "be_conn",
        "be_sess_rate",
        "fe_conn",
        "fe_sess_rate",
        "fe_req_rate",
        "queue",
        "avg_queue",
        "connslots",
        "be_conn_free",
        "stopping",
        "nbproc",
        "srv_conn_free",
        "bc_http_major",
        "rand",
    ];
    const NAMES: [&str; 7] = ["authorization", "forwarded", "real-ip", "client", "token", "key", "user"];
    let (name, argument) = split(sample);
    let about = argument.to_ascii_lowercase();
    let counter = name.starts_with("sc") || name.starts_with("src_") || name.starts_with("table_");
    let begins = |word: &&str| name.starts_with(*word);
    if LOAD.contains(&name) {
        Loss::Load
    } else if counter && (name.contains("rate") || name.contains("_cnt") || name.contains("conn_cur")) {
        Loss::Rate
    } else if counter
        || ["src", "http_auth", "ssl_c_", "var", "lua.", "hdr_ip", "req.hdr_ip"].iter().any(begins)
        || NAMES.iter().any(|w| about.contains(w))
    {
        Loss::Who
    } else {
        Loss::What
    }
}

fn one(context: &Context, sample: &str, rest: &[String]) -> Result<Ask, &'static str> {
    let (sample, then) = converters(sample);
    let (mut lower, mut bare) = (false, false);
    for step in then.into_iter().flat_map(steps) {
        match step {
            "lower" => lower = true,
            "field(1,:)" | "word(1,:)" | "host_only" => bare = true,
            _ => return Err("converters have no counterpart"),
        }
    }
    let (name, argument) = split(sample);
    match name {
        "always_true" | "wait_end" | "req.proto_http" | "req_proto_http" => return Ok(Ask::Always),
        "always_false" => return Ok(Ask::Never),
        "ssl_fc" if argument.is_empty() => return Ok(Ask::Tls),
        "http_auth" | "http_auth_group" => {
            let groups = flags(context, rest)?.values;
            let keys = context.users.keys(argument, (name == "http_auth_group").then_some(&groups))?;
            let subject = "$http_authorization".to_owned();
            return Ok(if keys.is_empty() { Ask::Never } else { Ask::Keys { subject, keys } });
        }
        _ => {}
    }
    let flags = flags(context, rest)?;
    let nocase = flags.nocase || lower;
    if let Some(counted) = counted(name, argument, &flags) {
        return counted;
    }
    let (stem, by_name) = suffix(name);
    let stem = stem.strip_prefix("req.").unwrap_or(stem);
    let with = |name: &str| values::sample(&format!("{name}({argument})")).ok_or("no variable has this");
    let header = || argument.split(',').next().unwrap_or_default().trim();
    let host = matches!(stem, "hdr" | "fhdr") && header().eq_ignore_ascii_case("host");
    // A path as it came: what stands before the question mark.
    let (subject, path) = match (stem, argument) {
        _ if host => ("$http_host".to_owned(), false),
        ("path", "") => (RAW_PATH.to_owned(), true),
        ("url" | "pathq", "") => ("$request_uri".to_owned(), false),
        ("base", "") => ("$http_host$request_uri".to_owned(), true),
        ("query", "") => ("$args".to_owned(), false),
        ("method", "") => ("$request_method".to_owned(), false),
        ("dst_port", "") => ("$server_port".to_owned(), false),
        ("dst", "") => ("$server_addr".to_owned(), false),
        ("src_port", "") => ("$remote_port".to_owned(), false),
        ("ver" | "req_ver", "") => ("$server_protocol".to_owned(), false),
        ("hdr" | "fhdr", _) => {
            (values::sample(&format!("hdr({})", header())).ok_or("no variable has this")?, false)
        }
        ("cook" | "cookie", _) => (with("cookie")?, false),
        ("urlp" | "url_param", _) => (with("urlp")?, false),
        ("ssl_fc_sni", "") => ("$ssl_server_name".to_owned(), false),
        ("ssl_c_verify", "") if flags.values == ["0"] => {
            return Ok(Ask::Keys {
                subject: "$ssl_client_verify".to_owned(),
                keys: vec!["SUCCESS".to_owned()],
            });
        }
        ("ssl_c_used", "") => {
            let keys = vec!["~^(SUCCESS|FAILED)".to_owned()];
            return Ok(Ask::Keys { subject: "$ssl_client_verify".to_owned(), keys });
        }
        // Of an answer: in rules of "http-response".
        ("res.hdr" | "res.fhdr" | "shdr", _) => {
            (super::sessions::answer(&format!("res.hdr({argument})")).ok_or("no variable has this")?, false)
        }
        ("status", "") => ("$status".to_owned(), false),
        _ => return Err("no variable has this"),
    };
    if bare && !host {
        return Err("converters have no counterpart");
    }
    if flags.found {
        return Ok(Ask::Keys { subject, keys: vec!["~.".to_owned()] });
    }
    let kind = flags.kind.unwrap_or(by_name);
    let number = matches!(stem, "dst_port" | "src_port" | "status");
    let version = stem.ends_with("ver");
    let mut any = Vec::new();
    for value in &flags.values {
        if value.is_empty() || value.contains(['\n', '\r']) {
            return Err("this value cannot be written");
        }
        if number && (value == "eq" || !value.bytes().all(|b| b.is_ascii_digit())) {
            if value == "eq" {
                continue;
            }
            return Err("ranges of numbers have no counterpart");
        }
        let value = if version { format!("HTTP/{value}") } else { value.clone() };
        let value = if host && kind != Kind::Regex { value.to_ascii_lowercase() } else { value };
        any.push(Match { kind, value, nocase: nocase || host });
    }
    if any.is_empty() {
        return Err("a value is missing");
    }
    Ok(if host {
        Ask::Host { any, bare }
    } else if stem == "path" {
        Ask::Path(any)
    } else {
        let key = |m: &Match| {
            let regex = if path { m.raw_path() } else { Some(m.regex()) };
            Some(format!("{}{}", if m.nocase { "~*" } else { "~" }, regex?))
        };
        let keys = any.iter().map(key).collect::<Option<Vec<_>>>();
        let keys = keys.ok_or("a regular expression of a path would see the question mark")?;
        Ask::Keys { subject, keys }
    })
}

/// The steps of a chain of converters: commas inside of brackets divide nothing.
fn steps(part: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(part);
    std::iter::from_fn(move || {
        let text = rest.filter(|t| !t.is_empty())?;
        let (step, more) = converters(text);
        rest = more;
        Some(step)
    })
}

/// `…_cnt(X)` and `…_len`: whether there is one, and how long a text is.
fn counted(name: &str, argument: &str, flags: &Flags) -> Option<Result<Ask, &'static str>> {
    const LONGEST: u32 = 60_000;
    let count = name.strip_suffix("_cnt").filter(|n| matches!(*n, "hdr" | "req.hdr" | "fhdr" | "req.fhdr"));
    let length = name.strip_suffix("_len");
    let stem = count.or(length)?;
    let subject = match stem {
        "path" => RAW_PATH.to_owned(),
        "url" => "$request_uri".to_owned(),
        "hdr" | "req.hdr" | "fhdr" | "req.fhdr" => values::sample(&format!("hdr({argument})"))?,
        "urlp" | "url_param" => values::sample(&format!("urlp({argument})"))?,
        _ => return None,
    };
    let (how, number) = match flags.values.as_slice() {
        [number] => ("eq", number),
        [how, number] => (how.as_str(), number),
        _ => return Some(Err("one number is expected")),
    };
    let Some(n) = number.parse::<u32>().ok().filter(|n| *n < LONGEST) else {
        return Some(Err("one number is expected"));
    };
    let key = match (count.is_some(), how, n) {
        (true, "gt", 0) | (true, "ge", 1) => "~.".to_owned(),
        // A map asks no regular expression for an empty text.
        (true, "eq" | "le", 0) | (true, "lt", 1) => String::new(),
        (true, ..) => return Some(Err("how many there are has no counterpart")),
        (false, "eq", n) => format!("~^.{{{n}}}$"),
        (false, "gt", n) => format!("~^.{{{},}}", n + 1),
        (false, "ge", n) => format!("~^.{{{n},}}"),
        (false, "lt", 0) => return Some(Ok(Ask::Never)),
        (false, "lt", n) => format!("~^.{{0,{}}}$", n - 1),
        (false, "le", n) => format!("~^.{{0,{n}}}$"),
        _ => return Some(Err("this way to compare has no counterpart")),
    };
    Some(Ok(Ask::Keys { subject, keys: vec![key] }))
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

impl Ask {
    /// What a map is asked for, and its keys that say yes.
    pub(super) fn keys(&self) -> (String, Vec<String>) {
        let mark = |m: &Match, regex: String| format!("{}{regex}", if m.nocase { "~*" } else { "~" });
        match self {
            Ask::Host { any, bare } => {
                let subject = if *bare { "$host" } else { "$http_host" };
                (subject.to_owned(), any.iter().map(|m| mark(m, m.regex())).collect())
            }
            Ask::Path(any) => match any.iter().map(Match::raw_path).collect::<Option<Vec<_>>>() {
                Some(keys) => {
                    let keys = any.iter().zip(keys).map(|(m, regex)| mark(m, regex)).collect();
                    ("$request_uri".to_owned(), keys)
                }
                None => (RAW_PATH.to_owned(), any.iter().map(|m| mark(m, m.regex())).collect()),
            },
            Ask::Tls => ("$https".to_owned(), vec!["on".to_owned()]),
            Ask::Keys { subject, keys } => (subject.clone(), keys.clone()),
            Ask::Always | Ask::Never | Ask::Unknown { .. } => (String::new(), Vec::new()),
        }
    }
}
