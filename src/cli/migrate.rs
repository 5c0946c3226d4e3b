//! `tenrec migrate`: another system's configuration as one that tenrec runs, and a report of every line or field.

use std::path::{Path, PathBuf};

use crate::migrate::{Asked, Can, Dialect, Input, Report, convert_as, store, to_nginx};
use crate::sys;

use super::sub::{Flag, Words, print, say, stdin};

/// Nothing was dropped; something was; nothing was converted.
const WHOLE: u8 = 0;
const DROPPED: u8 = 1;
const FAILED: u8 = 2;

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "from",
        value: Some("SYSTEM"),
        about: "whose configuration it is: haproxy, fgw, sticky-ng, plus, ingress-nginx, aliyun, tencent, f5",
    },
    Flag {
        name: "to",
        value: Some("nginx"),
        about: "out: what is Tengine's, sticky-ng's or tenrec's own in the words of the open nginx 1.31",
    },
    Flag {
        name: "out",
        value: Some("FILE"),
        about: "where the configuration goes (the standard output; the report then goes to the standard error)",
    },
    Flag {
        name: "store",
        value: Some("URL"),
        about: "the Redis or Valkey that tables are shared through which machines shared before (haproxy: peers)",
    },
    Flag {
        name: "without-limits",
        value: None,
        about: "leave out rules on how much a client asks for; otherwise they close what they guard (haproxy)",
    },
    Flag { name: "report", value: Some("text|json"), about: "the form of the report" },
];

#[derive(Debug)]
struct Args {
    /// `None`: out, to nginx.
    from: Option<Dialect>,
    inputs: Vec<PathBuf>,
    /// `None`: the standard output, and the report to the standard error.
    out: Option<PathBuf>,
    json: bool,
    asked: Asked,
}

pub(super) fn run(words: Words) -> Result<u8, String> {
    let done = Args::parse(&words).and_then(|args| work(&args));
    Ok(done.unwrap_or_else(|text| {
        say(&format!("migrate: {text}"));
        FAILED
    }))
}

impl Args {
    fn parse(words: &Words) -> Result<Self, String> {
        let names = || Dialect::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let to = words.value("to").map(|w| w.to_string_lossy());
        if let Some(word) = to.as_deref().filter(|w| *w != "nginx") {
            return Err(format!("unknown target \"{word}\"; known: nginx"));
        }
        let from = match (words.value("from"), to) {
            (None, Some(_)) => None,
            (Some(_), Some(_)) => {
                return Err(
                    "--from and --to are two steps: convert to tenrec first, and that to nginx".to_owned()
                );
            }
            (None, None) => return Err(format!("--from=SYSTEM says whose configuration it is: {}", names())),
            (Some(word), None) => {
                let word = word.to_string_lossy();
                let known = Dialect::named(&word);
                Some(known.ok_or_else(|| format!("unknown system \"{word}\"; known: {}", names()))?)
            }
        };
        let json = match words.value("report").map(|w| w.to_string_lossy()).as_deref() {
            None | Some("text") => false,
            Some("json") => true,
            Some(word) => return Err(format!("unknown report \"{word}\"; known: text, json")),
        };
        let url = words.value("store").map(|w| w.to_string_lossy().into_owned());
        if let Some(why) = url.as_deref().and_then(store) {
            return Err(format!("--store: {why}"));
        }
        let asked = Asked { store: url, without_limits: words.has("without-limits"), read: Some(named) };
        if words.operands.is_empty() {
            return Err("no input".to_owned());
        }
        let inputs = words.operands.iter().map(PathBuf::from).collect();
        Ok(Self { from, inputs, out: words.value("out").map(PathBuf::from), json, asked })
    }
}

fn work(args: &Args) -> Result<u8, String> {
    let inputs = args.inputs.iter().map(|p| read(p)).collect::<Result<Vec<_>, _>>()?;
    let here = std::env::current_dir().map_err(|e| e.to_string())?;
    let folder = args.out.as_deref().and_then(Path::parent).map_or(here.clone(), |p| here.join(p));
    let converted = match args.from {
        Some(from) => convert_as(from, &inputs, Can::probe(), &folder, &args.asked),
        None => to_nginx(&inputs, Can::probe()),
    };
    let converted = converted.map_err(|p| p.to_string())?;
    let report = render(&converted.report, args.json);
    match &args.out {
        Some(path) => {
            std::fs::write(path, &converted.conf).map_err(|e| format!("{}: {e}", path.display()))?;
            print(report.as_bytes());
        }
        None => {
            print(converted.conf.as_bytes());
            sys::write_stderr(report.as_bytes());
        }
    }
    Ok(if converted.report.dropped() { DROPPED } else { WHOLE })
}

/// A file, or the standard input for `-`.
fn read(path: &Path) -> Result<Input, String> {
    let name = path.to_string_lossy().into_owned();
    let bytes = if name == "-" {
        stdin()?
    } else {
        std::fs::read(path).map_err(|e| format!("{name}: {}", sys::err_text(&e)))?
    };
    Ok(Input { name, bytes })
}

/// A file that an input names, where it is here and a text of a reasonable size.
fn named(path: &str) -> Option<String> {
    const LONGEST: u64 = 4 << 20;
    let meta = std::fs::metadata(path).ok().filter(|m| m.is_file() && m.len() <= LONGEST);
    meta.and_then(|_| std::fs::read_to_string(path).ok())
}

fn render(report: &Report, json: bool) -> String {
    if json { format!("{:#}\n", report.json()) } else { report.text() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_system() {
        let about = FLAGS.iter().find(|f| f.name == "from").unwrap().about;
        let (_, known) = about.split_once(": ").unwrap();
        let names: Vec<&str> = Dialect::ALL.iter().map(|(name, _)| *name).collect();
        assert_eq!(known, names.join(", "));
    }
}
