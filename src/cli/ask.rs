//! Asking the tenrec that runs, over its control socket.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::args::Args;
use super::place::Place;
use super::sub::{Flag, Words};
use crate::process::{self, Options};
use crate::sys;

/// What tenrec may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read: some hundred bytes a peer.
const LONGEST: u64 = 256 << 20;

/// The options that say whom to ask.
pub(super) const CONF: Flag =
    Flag { name: "c", value: Some("FILE"), about: "the configuration of the tenrec that is asked" };
pub(super) const PREFIX: Flag = Flag { name: "p", value: Some("DIR"), about: "its prefix" };
pub(super) const GLOBALS: Flag =
    Flag { name: "g", value: Some("TEXT"), about: "its directives beside the file" };
pub(super) const SOCKET: Flag = Flag {
    name: "socket",
    value: Some("PATH"),
    about: "its control socket, whatever the configuration says",
};

/// Whom to ask.
#[derive(Debug)]
pub(super) struct Control {
    path: PathBuf,
}

/// What became of a question.
pub(super) enum Failed {
    /// Nobody was reached, or did not answer: it may help to ask again.
    Unreached(String),
    /// The answer is no.
    Refused(String),
}

impl Failed {
    pub(super) fn text(self) -> String {
        match self {
            Self::Unreached(text) | Self::Refused(text) => text,
        }
    }
}

impl Control {
    /// The socket that the options or the configuration name.
    pub(super) fn find(words: &Words) -> Result<Self, String> {
        if let Some(path) = words.value("socket") {
            let path = path.to_string_lossy();
            return Ok(Self { path: path.strip_prefix("unix:").unwrap_or(&path).into() });
        }
        let args =
            Args { prefix: words.value("p").cloned(), conf: words.value("c").cloned(), ..Args::default() };
        let place = Place::find(&args).map_err(|e| format!("getcwd() failed ({})", sys::err_text(&e)))?;
        let globals = words.value("g").map(|g| g.to_string_lossy().into_owned());
        let options = Options { prefix: place.prefix, conf: place.conf, globals, ..Options::default() };
        let conf = options.conf.display();
        let Some(plan) = process::load(&options).plan else {
            return Err(format!(
                "{conf} cannot be used (see tenrec -t); --socket names the control socket without it"
            ));
        };
        let path = plan.process.control.ok_or_else(|| {
            format!("{conf} has no control socket: add \"control on;\" outside of all blocks, and reload")
        })?;
        Ok(Self { path })
    }

    /// Asks, and gives what a success says. `what` is the command, for a tenrec that does not know it.
    pub(super) fn ask(&self, what: &str, target: &str, body: Option<&Value>) -> Result<Value, Failed> {
        let at = self.path.display();
        let unreached = |e: &io::Error| {
            let why = sys::err_text(e);
            Failed::Unreached(match e.kind() {
                io::ErrorKind::PermissionDenied => {
                    format!("{at}: {why}: only the user who started tenrec, and root, may ask")
                }
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    format!("{at}: {why}: no tenrec listens there; does it run, with this configuration?")
                }
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    format!("{at}: tenrec does not answer")
                }
                _ => format!("{at}: {why}"),
            })
        };
        let text = self.exchange(target, body).map_err(|e| unreached(&e))?;
        let Some((status, said)) = read(&text) else {
            return Err(Failed::Unreached(format!("{at}: what answers is no tenrec, or was interrupted")));
        };
        if status == 200 {
            return Ok(said);
        }
        let word = |name: &str| said.get(name).and_then(Value::as_str);
        if said.get("unknown").is_some() {
            let version = word("tenrec").unwrap_or("?");
            return Err(Failed::Refused(format!(
                "the tenrec that runs ({version}) is too old for \"{what}\""
            )));
        }
        let mut text = word("error").unwrap_or("an answer without a reason").to_owned();
        let candidates = said.get("candidates").and_then(Value::as_array).into_iter().flatten();
        let candidates: Vec<&str> = candidates.filter_map(Value::as_str).collect();
        if said.get("candidates").is_some() {
            text += match candidates.is_empty() {
                true => "; there is none",
                false => "; there are: ",
            };
            text += &candidates.join(", ");
        }
        Err(Failed::Refused(text))
    }

    fn exchange(&self, target: &str, body: Option<&Value>) -> io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(&self.path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let (method, body) = match body {
            Some(body) => ("POST", body.to_string()),
            None => ("GET", String::new()),
        };
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: tenrec\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all((head + &body).as_bytes())?;
        let mut text = Vec::new();
        stream.take(LONGEST).read_to_end(&mut text)?;
        Ok(text)
    }
}

/// Status and body of an answer.
fn read(text: &[u8]) -> Option<(u16, Value)> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(end) = head.parse(text).ok()? else { return None };
    Some((head.code?, serde_json::from_slice(text.get(end..)?).ok()?))
}

/// A text as a value of a query.
pub(super) fn query(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
