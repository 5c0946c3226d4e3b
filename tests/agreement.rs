//! Does `-t` accept and refuse as nginx does, with the same message and line? Asked of the configurations in public
//! repositories (crossplane's, certbot's and h5bp's among them), and of changes of them.
//!
//! The repositories are fetched for the run; `TENREC_CORPUS=DIR` names a folder of checkouts instead.
//! `TENREC_AGREEMENT_MUTANTS=N` asks for N changes of each file.
//!
//! nginx stops at the first error. So where both say the same, what they complain of is blanked out and they are
//! asked again, until both accept the file: each such round is a comparison. What only one of them knows (a directive
//! that tenrec refuses to carry out, or that nginx was built without) is blanked out as well and not counted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tenrec::diag::{Diags, SourceMap};
use tenrec::syntax::{Body, Node, Tree};

use super::support::daemon::{Program, nginx, nginx_is_current};
use super::support::skipped;

/// What is fetched when no folder is given.
const REPOSITORIES: &[(&str, &str)] = &[
    ("crossplane", "https://github.com/nginxinc/crossplane"),
    ("server-configs-nginx", "https://github.com/h5bp/server-configs-nginx"),
    ("certbot", "https://github.com/certbot/certbot"),
    ("nginx-proxy", "https://github.com/nginx-proxy/nginx-proxy"),
];

/// Rounds on one file before it is left.
const ROUNDS: usize = 60;

/// The repositories' files, in a folder that is ours to write to.
fn corpus() -> Result<tempfile::TempDir, String> {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    if let Some(given) = std::env::var_os("TENREC_CORPUS") {
        let copied = Command::new("cp").arg("-rT").arg(&given).arg(dir.path()).status();
        return match copied {
            Ok(status) if status.success() => Ok(dir),
            _ => Err(format!("{} cannot be copied", given.display())),
        };
    }
    for (name, url) in REPOSITORIES {
        let mut git = Command::new("git");
        git.args(["clone", "--quiet", "--depth=1", url]).arg(dir.path().join(name));
        git.env("GIT_TERMINAL_PROMPT", "0").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = git.spawn().map_err(|e| format!("git: {e}"))?;
        let end = Instant::now() + Duration::from_secs(60);
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status.success(),
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
                _ => {
                    let _ = child.kill();
                    let _ = child.wait();
                    break false;
                }
            }
        };
        if !status {
            return Err(format!("{url} cannot be fetched (TENREC_CORPUS=DIR names a folder of checkouts)"));
        }
    }
    Ok(dir)
}

/// Files that look like nginx's, with the text around them that makes a whole configuration of each.
fn candidates(root: &Path) -> Vec<(PathBuf, String)> {
    let (mut folders, mut found) = (vec![root.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && entry.file_name() != ".git" {
                folders.push(path);
            } else if kind.is_file()
                && let Ok(text) = std::fs::read(&path)
                && text.len() < 100_000
                && let Ok(text) = String::from_utf8(text)
                && let Some(whole) = whole(&text)
            {
                found.push((path, whole));
            }
        }
    }
    found.sort();
    found.dedup_by(|a, b| a.1 == b.1);
    found
}

/// The file made whole by the blocks that its directives belong in; `None`: it is not nginx's.
fn whole(text: &str) -> Option<String> {
    let (_, tree, map) = parse(text);
    if tree.roots.is_empty() || text.starts_with("#!") {
        return None;
    }
    let names: Vec<String> = tree
        .roots
        .iter()
        .map(|id| String::from_utf8_lossy(map.text(tree.node(*id).name.span)).into_owned())
        .collect();
    let known = names.iter().filter(|n| !tenrec::directives::lookup(n).is_empty()).count();
    // Half of what a file of another kind begins its lines with is no directive.
    if known * 2 <= names.len() {
        return None;
    }
    let of = |blocks: &[&str]| names.iter().any(|n| blocks.contains(&n.as_str()));
    Some(if of(&["http", "events", "stream", "mail"]) {
        let events = if of(&["events"]) { "" } else { "events {}\n" };
        format!("{events}{text}")
    } else if of(&["server", "upstream", "map", "geo", "split_clients", "log_format"]) {
        format!("events {{}}\nhttp {{\n{text}\n}}\n")
    } else {
        format!("events {{}}\nhttp {{ server {{\n{text}\n}} }}\n")
    })
}

fn parse(text: &str) -> (Diags, Tree, SourceMap) {
    let (mut map, mut diags) = (SourceMap::new(), Diags::new());
    let file = map.add("t".to_owned(), text.as_bytes().into(), None);
    let tree = tenrec::syntax::parse(&map, file, &mut diags);
    (diags, tree, map)
}

/// What a test said: accepted or not, and the lines up to the first error.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Verdict {
    accepted: bool,
    said: Vec<String>,
}

/// Runs `-t` on `file`. `None`: it did not end in time.
fn test(program: &Program, file: &Path) -> Option<(Verdict, Vec<String>)> {
    let folder = file.parent().unwrap();
    let mut command = Command::new("timeout");
    command
        .arg("20")
        .arg(program.path())
        .arg("-t")
        .arg("-p")
        .arg(folder)
        .arg("-c")
        .arg(file)
        .args(["-e", "stderr"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let code = output.status.code();
    assert!(code.is_some_and(|c| c < 126) || code == Some(124), "{program:?} on {file:?}: {output:?}");
    if code == Some(124) {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let all: Vec<String> = text.lines().map(plain).collect();
    let fatal = |l: &String| ["[emerg]", "[alert]", "[crit]"].iter().any(|s| l.starts_with(s));
    let end = all.iter().position(fatal).map_or(all.len(), |i| i + 1);
    let said = all[..end].to_vec();
    Some((Verdict { accepted: output.status.success(), said }, all))
}

/// A line without the time and the process.
fn plain(line: &str) -> String {
    match line.find(" [") {
        Some(at) if line.starts_with("20") => {
            let line = &line[at + 1..];
            match (line.find("] "), line.find(": ")) {
                (Some(a), Some(b)) if b > a => format!("{}{}", &line[..a + 2], &line[b + 2..]),
                _ => line.to_owned(),
            }
        }
        _ => line.strip_prefix("nginx: ").unwrap_or(line).to_owned(),
    }
}

/// The line that a message ends with.
fn line_of(message: &str, file: &Path) -> Option<u32> {
    let at = message.rfind(&format!("{}:", file.display()))?;
    message[at..].rsplit(':').next()?.parse().ok()
}

/// `text` with the directive at a line blanked out, lines kept: the one that the message names, or the only one, or the
/// innermost that ends there.
fn without(text: &str, line: u32, message: &str) -> Option<String> {
    let (_, tree, map) = parse(text);
    let at = |n: &&Node| map.file(n.span.file).line_col(n.span.end.saturating_sub(1)).0 == line;
    let here: Vec<&Node> = tree.nodes.iter().filter(at).collect();
    let named = |n: &&&Node| message.contains(&format!("\"{}\"", String::from_utf8_lossy(&n.name.value)));
    let node = here.iter().find(named).or(here.last())?;
    let end = match node.body {
        Body::None => node.span.end,
        Body::Block { close, .. } | Body::Raw { close, .. } => close + 1,
    };
    let (start, end) = (node.span.start as usize, (end as usize).min(text.len()));
    let mut out = text.as_bytes().to_vec();
    out[start..end].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
    String::from_utf8(out).ok()
}

/// Directives that only one of the two knows, in `text` at `line`.
fn without_word(text: &str, line: u32, words: &[&str]) -> Option<String> {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let one = lines.get_mut(usize::try_from(line).ok()?.checked_sub(1)?)?;
    let before = one.clone();
    for word in words {
        *one = one.replace(&format!(" {word};"), ";").replace(&format!(" {word} "), " ");
    }
    (*one != before).then(|| lines.join("\n"))
}

#[derive(Default)]
struct Tally {
    files: usize,
    agreed_files: usize,
    same: usize,
    differ: Vec<String>,
    slow: usize,
    left: usize,
    /// What was blanked out because only one of them knows it, and how often.
    alone: BTreeMap<String, usize>,
}

struct Bench<'a> {
    nginx: &'a Program,
    tally: Tally,
}

impl Bench<'_> {
    /// Compares on `text`, which lies at `file`, until nothing is left to say. The text that both accept.
    fn peel(&mut self, file: &Path, mut text: String) -> Option<String> {
        for _ in 0..ROUNDS {
            std::fs::write(file, &text).unwrap();
            let (Some((ours, all)), Some((theirs, _))) =
                (test(&Program::Tenrec, file), test(self.nginx, file))
            else {
                self.tally.slow += 1;
                return None;
            };
            if let Some((line, word)) = self.alone(&all, &theirs, file) {
                let next = match word.as_str() {
                    "\"ssl\" parameter" => without_word(&text, line, &["ssl"]),
                    "\"http2\" parameter" => without_word(&text, line, &["http2"]),
                    "\"quic\" parameter" => without_word(&text, line, &["quic"]),
                    _ => without(&text, line, &word),
                };
                *self.tally.alone.entry(word).or_default() += 1;
                match next {
                    Some(next) if next != text => text = next,
                    _ => return self.leave(),
                }
                continue;
            }
            if all.iter().any(|l| l.contains("is not supported by tenrec")) {
                // In an included file.
                return self.leave();
            }
            if ours != theirs {
                self.tally.differ.push(format!("{}\n  nginx  {theirs:?}\n  tenrec {ours:?}", file.display()));
                return None;
            }
            self.tally.same += 1;
            if ours.accepted {
                return Some(text);
            }
            let message = ours.said.last().cloned().unwrap_or_default();
            let next = line_of(&message, file).and_then(|line| without(&text, line, &message));
            match next {
                Some(next) if next != text => text = next,
                _ => return None,
            }
        }
        None
    }

    fn leave(&mut self) -> Option<String> {
        self.tally.left += 1;
        None
    }

    /// What only one of them knows, and its line.
    fn alone(&self, ours: &[String], theirs: &Verdict, file: &Path) -> Option<(u32, String)> {
        for line in ours {
            let what = if line.contains("is not supported by tenrec") {
                line.split('"').nth(1).map(|n| format!("\"{n}\" directive"))
            } else if line.contains(" parameter requires ngx_http_") {
                line.split('"').nth(1).map(|n| format!("\"{n}\" parameter"))
            } else {
                None
            };
            if let (Some(what), Some(at)) = (what, line_of(line, file)) {
                return Some((at, what));
            }
        }
        let last = theirs.said.last().filter(|_| !theirs.accepted)?;
        let name = last.strip_prefix("[emerg] unknown directive \"")?.split('"').next()?;
        // A directive of a module that this nginx was built without, or newer than it is.
        let known = !tenrec::directives::lookup(name).is_empty();
        (known && ours.iter().all(|l| !l.contains(&format!("unknown directive \"{name}\""))))
            .then(|| line_of(last, file).map(|at| (at, format!("\"{name}\" directive"))))?
    }
}

/// A line dropped, doubled or moved, or a token changed.
fn changed(rng: &mut SmallRng, text: &str, other: &str) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    if lines.is_empty() {
        return String::new();
    }
    let (a, b) = (rng.random_range(0..lines.len()), rng.random_range(0..lines.len()));
    match rng.random_range(0..6) {
        0 => drop(lines.remove(a)),
        1 => lines.insert(a, lines[a]),
        2 => {
            let line = lines.remove(a);
            lines.insert(b.min(lines.len()), line);
        }
        _ => {
            let tokens = |t: &'_ str| -> Vec<(usize, usize)> {
                let edge = |c: char| c.is_ascii_whitespace() || matches!(c, ';' | '{' | '}');
                t.split(edge)
                    .map(|w| (w.as_ptr().addr() - t.as_ptr().addr(), w.len()))
                    .filter(|w| w.1 > 0)
                    .collect()
            };
            let (mine, theirs) = (tokens(text), tokens(other));
            let (Some(&(at, len)), Some(&(from, long))) = (mine.choose(rng), theirs.choose(rng)) else {
                return text.to_owned();
            };
            return format!("{}{}{}", &text[..at], &other[from..from + long], &text[at + len..]);
        }
    }
    lines.concat()
}

#[test]
fn public_configurations_are_accepted_and_refused_as_by_nginx() {
    let name = "agreement with nginx on public configurations";
    let Some(nginx) = nginx() else { return skipped(name, "no nginx to compare with") };
    if !nginx_is_current(&nginx) {
        return skipped(name, "an older nginx than the one that tenrec follows (TENREC_NGINX names another)");
    }
    let corpus = match corpus() {
        Ok(corpus) => corpus,
        Err(why) => return skipped(name, &why),
    };
    let mutants = std::env::var("TENREC_AGREEMENT_MUTANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let files = candidates(corpus.path());
    assert!(files.len() >= 100, "{} configurations", files.len());
    let mut bench = Bench { nginx: &nginx, tally: Tally::default() };
    let mut accepted: Vec<(PathBuf, String)> = Vec::new();
    for (path, text) in &files {
        let file = path.with_file_name("tenrec-agreement.conf");
        std::fs::create_dir_all(path.with_file_name("logs")).unwrap();
        let before = (bench.tally.differ.len(), bench.tally.slow + bench.tally.left);
        if let Some(text) = bench.peel(&file, text.clone()) {
            accepted.push((file.clone(), text));
        }
        let _ = std::fs::remove_file(&file);
        bench.tally.files += 1;
        if before == (bench.tally.differ.len(), bench.tally.slow + bench.tally.left) {
            bench.tally.agreed_files += 1;
        }
    }
    let real = std::mem::take(&mut bench.tally);
    let mut rng = SmallRng::seed_from_u64(1);
    for (file, text) in &accepted {
        for _ in 0..mutants {
            let other = accepted.choose(&mut rng).map_or("", |(_, t)| t);
            let changed = changed(&mut rng, text, other);
            bench.peel(file, changed);
            let _ = std::fs::remove_file(file);
            bench.tally.files += 1;
        }
    }
    let said = format!(
        "real files: {}\nchanged: {}\n{}",
        told(&real),
        told(&bench.tally),
        real.differ.iter().chain(&bench.tally.differ).cloned().collect::<Vec<_>>().join("\n"),
    );
    if std::env::var_os("TENREC_AGREEMENT_REPORT").is_some() {
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("{said}\n{:#?}\n", real.alone).as_bytes(),
        );
    }
    for tally in [&real, &bench.tally] {
        let all = tally.same + tally.differ.len();
        assert!(tally.differ.len() * 100 <= all, "less than 99 % agree:\n{said}");
    }
}

fn told(t: &Tally) -> String {
    format!(
        "{} files ({} agree throughout), {} comparisons, {} differ; {} with what one alone knows in an include, {} slow",
        t.files,
        t.agreed_files,
        t.same + t.differ.len(),
        t.differ.len(),
        t.left,
        t.slow
    )
}
