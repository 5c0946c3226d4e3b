//! `tenrec explain`: where a request goes, and why.

use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use crate::compile::{self, Loaded};
use crate::diag::render_nginx;
use crate::explain::{Ask, Engine, Report};
use crate::plan::Plan;
use crate::sys;

use super::args::Args;
use super::place::Place;
use super::sub::{Flag, Words, print, say};

/// It was explained; it was not: the words, the configuration, or nothing listens there.
const DONE: u8 = 0;
const FAILED: u8 = 2;

pub(super) const FLAGS: &[Flag] = &[
    Flag { name: "c", value: Some("FILE"), about: "the configuration (as with -t)" },
    Flag { name: "p", value: Some("DIR"), about: "the prefix of its relative paths" },
    Flag { name: "g", value: Some("DIRECTIVES"), about: "global directives beside those of the file" },
    Flag { name: "cookie", value: Some("a=b; c=d"), about: "a Cookie field" },
    Flag { name: "header", value: Some("NAME: VALUE"), about: "any other field; may be given several times" },
    Flag { name: "client-ip", value: Some("ADDRESS"), about: "who is connected (127.0.0.1)" },
    Flag { name: "body", value: Some("TEXT|@FILE"), about: "the body of the request" },
    Flag {
        name: "listen",
        value: Some("SOCKET"),
        about: "the socket, when it is not the URL's: ADDRESS:PORT, PORT, unix:PATH",
    },
    Flag { name: "answer", value: Some("STATUS"), about: "what the backend is supposed to answer (200)" },
    Flag {
        name: "answer-header",
        value: Some("NAME: VALUE"),
        about: "a field of that answer; may be given several times",
    },
    Flag { name: "format", value: Some("text|json"), about: "the form (text)" },
];

pub(super) fn run(words: Words) -> Result<u8, String> {
    match work(&words) {
        Ok(text) => {
            print(text.as_bytes());
            Ok(DONE)
        }
        Err(text) => {
            say(&format!("explain: {text}"));
            Ok(FAILED)
        }
    }
}

fn work(words: &Words) -> Result<String, String> {
    let json = is_json(words)?;
    let ask = ask(words)?;
    let Loaded { conf, plan, .. } = load(words)?;
    let plan = Arc::new(plan.unwrap_or_default());
    let engine = Engine::new(plan.clone())?;
    let report = Report::new(&ask, &engine.ask(&ask)?, &plan, &conf.map);
    Ok(if json { format!("{:#}\n", report.json()) } else { report.text() })
}

/// `--format`
pub(super) fn is_json(words: &Words) -> Result<bool, String> {
    match words.value("format").map(|w| w.to_string_lossy()).as_deref() {
        None | Some("text") => Ok(false),
        Some("json") => Ok(true),
        Some(word) => Err(format!("unknown format \"{word}\"; known: text, json")),
    }
}

fn ask(words: &Words) -> Result<Ask, String> {
    let operands: Option<Vec<&str>> = words.operands.iter().map(|w| w.to_str()).collect();
    let operands = operands.ok_or("a URL that is not UTF-8 is written with %XX")?;
    let mut ask = Ask::parse(&operands.join(" ")).map_err(|e| e.to_string())?;
    let all = |name: &'static str| words.values(name).map(|v| v.as_bytes());
    let mut set = || {
        all("header").try_for_each(|v| ask.add_header(v))?;
        all("cookie").try_for_each(|v| ask.add_cookie(v))?;
        all("answer-header").try_for_each(|v| ask.add_answer_header(v))?;
        let text = |v: &[u8]| String::from_utf8_lossy(v).into_owned();
        all("client-ip").try_for_each(|v| ask.set_client(&text(v)))?;
        all("listen").try_for_each(|v| ask.set_listen(&text(v)))?;
        all("answer").try_for_each(|v| ask.set_answer(&text(v)))
    };
    set().map_err(|e| e.to_string())?;
    if let Some(body) = words.value("body").map(|b| b.as_bytes()) {
        ask.body = match body.strip_prefix(b"@") {
            None => body.to_vec(),
            Some(name) => {
                let path = std::path::Path::new(std::ffi::OsStr::from_bytes(name));
                std::fs::read(path).map_err(|e| format!("{}: {}", path.display(), sys::err_text(&e)))?
            }
        };
    }
    Ok(ask)
}

/// The configuration that the options name; the error says what is wrong with it.
pub(super) fn load(words: &Words) -> Result<Loaded, String> {
    let args = Args { conf: words.value("c").cloned(), prefix: words.value("p").cloned(), ..Args::default() };
    let place = Place::find(&args).map_err(|e| format!("getcwd() failed ({})", sys::err_text(&e)))?;
    let globals = words.value("g").map(|g| g.to_string_lossy().into_owned());
    checked(compile::load_text(&place.conf, &place.prefix, globals.as_deref()))
}

/// What was loaded, when it can run.
pub(super) fn checked(loaded: Loaded) -> Result<Loaded, String> {
    if loaded.plan.as_ref().is_some_and(|p: &Plan| !p.servers.is_empty()) {
        return Ok(loaded);
    }
    let fatal = loaded.diags.iter().filter(|d| d.severity.is_fatal());
    let lines: Vec<String> = fatal.map(|d| render_nginx(&loaded.conf.map, d)).collect();
    Err(if lines.is_empty() {
        "the configuration has no server of http".to_owned()
    } else {
        format!("the configuration cannot run:\n{}", lines.join("\n"))
    })
}
