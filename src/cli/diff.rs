//! `tenrec diff`: what a change of the configuration changes.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use crate::compile::{self, Loaded};
use crate::explain::{Ask, Diff, Form, Listen, Traffic};
use crate::plan::Plan;
use crate::sys;

use super::args::Args;
use super::explain::{checked, is_json};
use super::place::Place;
use super::sub::{Flag, Words, print, say};

/// Nothing differs; something does; nothing was compared.
const SAME: u8 = 0;
const DIFFERENT: u8 = 1;
const FAILED: u8 = 2;

/// How many requests are asked about unless `--limit` says.
const LIMIT: usize = 10_000;

pub(super) const FLAGS: &[Flag] = &[
    Flag { name: "p", value: Some("DIR"), about: "the prefix of both (each file's own folder)" },
    Flag { name: "urls", value: Some("FILE"), about: "requests, one a line: [METHOD] URL, or a path" },
    Flag {
        name: "access-log",
        value: Some("FILE"),
        about: "requests out of an access log in the combined format",
    },
    Flag { name: "host", value: Some("NAME"), about: "the host of requests that say none" },
    Flag { name: "listen", value: Some("SOCKET"), about: "the socket of requests whose URL has no port" },
    Flag { name: "limit", value: Some("N"), about: "ask about so many different requests (10000)" },
    Flag { name: "format", value: Some("text|json"), about: "the form (text)" },
];

pub(super) fn run(words: Words) -> Result<u8, String> {
    match work(&words) {
        Ok((text, same)) => {
            print(text.as_bytes());
            Ok(if same { SAME } else { DIFFERENT })
        }
        Err(text) => {
            say(&format!("diff: {text}"));
            Ok(FAILED)
        }
    }
}

fn work(words: &Words) -> Result<(String, bool), String> {
    let json = is_json(words)?;
    let [old, new] = &words.operands[..] else {
        return Err("two configurations are compared: OLD NEW".to_owned());
    };
    let listen = listen(words)?;
    let (old, a) = side(old, words)?;
    let (new, b) = side(new, words)?;
    let host = match words.value("host") {
        Some(host) => host.to_string_lossy().into_owned(),
        None => host(&a),
    };
    let mut traffic = traffic(words, &host)?;
    let diff = Diff::new((&old, &a), (&new, &b), listen.as_ref(), traffic.as_mut())?;
    let mut text = if json { format!("{:#}\n", diff.json()) } else { diff.text() };
    if !json && traffic.is_some() && words.value("host").is_none() {
        text +=
            &format!("(requests that name no host were asked about as \"{host}\"; --host says another)\n");
    }
    Ok((text, diff.same()))
}

fn side(name: &OsString, words: &Words) -> Result<(Loaded, Arc<Plan>), String> {
    let args = Args { conf: Some(name.clone()), prefix: words.value("p").cloned(), ..Args::default() };
    let mut place = Place::find(&args).map_err(|e| format!("getcwd() failed ({})", sys::err_text(&e)))?;
    if words.value("p").is_none()
        && let Some(folder) = place.conf.parent()
    {
        // Two copies of a tree of files stand side by side.
        let mut folder = folder.as_os_str().to_owned();
        folder.push("/");
        place.prefix = folder.into();
    }
    let mut loaded = checked(compile::load_text(&place.conf, &place.prefix, None))
        .map_err(|e| format!("{}: {e}", name.to_string_lossy()))?;
    let plan = Arc::new(loaded.plan.take().unwrap_or_default());
    Ok((loaded, plan))
}

fn listen(words: &Words) -> Result<Option<Listen>, String> {
    let Some(socket) = words.value("listen") else { return Ok(None) };
    let mut ask = Ask::parse("http://localhost/").map_err(|e| e.to_string())?;
    ask.set_listen(&socket.to_string_lossy()).map_err(|e| e.to_string())?;
    Ok(ask.listen)
}

/// The name of the first server that has a plain one.
fn host(plan: &Plan) -> String {
    let plain = |n: &&[u8]| !n.is_empty() && n.iter().all(|b| b.is_ascii_alphanumeric() || b".-".contains(b));
    let name = plan.servers.iter().map(|s| &*s.name).find(plain);
    name.map_or("localhost".to_owned(), |n| String::from_utf8_lossy(n).into_owned())
}

fn traffic(words: &Words, host: &str) -> Result<Option<Traffic<BufReader<File>>>, String> {
    let (name, form) = match (words.value("urls"), words.value("access-log")) {
        (None, None) => return Ok(None),
        (Some(name), None) => (name, Form::Urls),
        (None, Some(name)) => (name, Form::Combined),
        _ => return Err("--urls or --access-log, not both".to_owned()),
    };
    let limit = match words.value("limit").map(|l| l.to_str().and_then(|l| l.parse().ok())) {
        None => LIMIT,
        Some(Some(limit)) => limit,
        Some(None) => return Err("--limit is a number".to_owned()),
    };
    if Ask::parse(&format!("http://{host}/")).is_err() {
        return Err(format!("invalid host \"{host}\""));
    }
    let file = File::open::<&OsStr>(name);
    let file = file.map_err(|e| format!("{}: {}", name.to_string_lossy(), sys::err_text(&e)))?;
    Ok(Some(Traffic::new(BufReader::new(file), form, host, limit)))
}
