//! The same file and the same requests through nginx and tenrec, heads and bodies compared.

use super::client::Client;
use super::daemon::{Daemon, Program, nginx};
use super::skipped;

/// One exchange to compare: bytes to the port that stands for `port` in the configuration.
pub struct Exchange<'a> {
    pub port: u16,
    pub bytes: &'a [u8],
}

/// Sends each exchange on a connection of its own (which must end it: `Connection: close`, HTTP/1.0, or an error) to
/// nginx and to tenrec on the same configuration, and fails unless the answers are the same but for dates and versions.
#[track_caller]
pub fn same(test: &str, conf: &str, files: &[(&str, &[u8])], exchanges: &[Exchange<'_>]) {
    let Some(reference) = nginx() else {
        return skipped(test, "no nginx to compare with");
    };
    let answers = |program: Program| -> Vec<String> {
        let daemon = Daemon::run(program, conf, files);
        let ask = |e: &Exchange<'_>| Client::connect(daemon.port(e.port)).send(e.bytes).rest();
        exchanges.iter().map(|e| normal(&ask(e), &daemon)).collect()
    };
    let (theirs, ours) = (answers(reference), answers(Program::Tenrec));
    for ((exchange, theirs), ours) in exchanges.iter().zip(&theirs).zip(&ours) {
        let request = String::from_utf8_lossy(exchange.bytes);
        assert_eq!(theirs, ours, "{test}: nginx (left) and tenrec (right) differ on {request}");
    }
}

/// An answer without what may differ between two runs: dates, versions, ports, the prefix.
fn normal(bytes: &[u8], daemon: &Daemon) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let name = line.split(':').next().unwrap_or_default();
        match name {
            "Date" | "Last-Modified" | "ETag" | "Expires" => out.push_str(&format!("{name}: …\r\n")),
            _ => out.push_str(line),
        }
    }
    for (name, port) in daemon.ports() {
        out = out.replace(&format!(":{port}"), &format!(":%%{name}%%"));
    }
    out = out.replace(&daemon.prefix().display().to_string(), "%%DIR%%");
    without_version(&out)
}

fn without_version(text: &str) -> String {
    let mut parts = text.split("nginx/1.");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("nginx/1.x");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.'));
    }
    out
}
