//! Subcommands: words that nginx's command line does not have. Each has a file of its own.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use crate::sys;

use super::{completions, diff, dump, explain, fmt, lint, man, migrate, peers, sessions, sticky, version};

/// One subcommand, as help, completions and the manual tell it.
pub(super) struct Command {
    pub(super) name: &'static str,
    /// What may follow the options.
    pub(super) operands: &'static str,
    pub(super) about: &'static str,
    pub(super) flags: &'static [Flag],
    run: fn(Words) -> Result<u8, String>,
}

/// `--NAME`, or `--NAME=VALUE`; a name of one letter: `-N`, or `-N VALUE`.
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) value: Option<&'static str>,
    pub(super) about: &'static str,
}

impl Flag {
    /// As help and the manual show it: `--format=json`, `-c FILE`.
    pub(super) fn shown(&self) -> String {
        match (self.name.len(), self.value) {
            (1, Some(value)) => format!("-{} {value}", self.name),
            (1, None) => format!("-{}", self.name),
            (_, Some(value)) => format!("--{}={value}", self.name),
            (_, None) => format!("--{}", self.name),
        }
    }
}

impl Command {
    /// What it does, in a line.
    pub(super) fn brief(&self) -> &'static str {
        let end = self.about.find([';', ':']).unwrap_or(self.about.len());
        self.about.get(..end).unwrap_or(self.about)
    }

    /// What `tenrec NAME --help` prints.
    fn help(&self) -> String {
        let mut out = format!("Usage: tenrec {}", self.name);
        if !self.flags.is_empty() {
            out += " [OPTION…]";
        }
        if !self.operands.is_empty() {
            out += &format!(" {}", self.operands);
        }
        out += &format!("\n\n{}\n", self.about);
        if !self.flags.is_empty() {
            out += "\nOptions:\n";
        }
        for flag in self.flags {
            let name = flag.shown();
            out += &format!("  {name:<22} {}\n", flag.about);
        }
        out
    }
}

/// The command of a name.
fn named(name: &OsStr) -> Option<&'static Command> {
    COMMANDS.iter().find(|c| name == c.name)
}

fn help(words: Words) -> Result<u8, String> {
    match &*words.operands {
        [] => print(version::help().as_bytes()),
        [name] => match named(name) {
            Some(command) => print(command.help().as_bytes()),
            None => return Err(format!("there is no command \"{}\"", name.to_string_lossy())),
        },
        _ => return Err("one command at a time".to_owned()),
    }
    Ok(0)
}

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "completions",
        operands: "bash|zsh|fish",
        about: "print what that shell completes tenrec's command line with",
        flags: &[],
        run: completions::run,
    },
    Command {
        name: "diff",
        operands: "OLD NEW",
        about: "say what a change of the configuration changes: settings after includes, inheritance and defaults, where \
                requests go, which sessions are cut loose; exit with 0: nothing, 1: something, 2: an error",
        flags: diff::FLAGS,
        run: diff::run,
    },
    Command {
        name: "drain",
        operands: "UPSTREAM SERVER",
        about: "let a server of the tenrec that runs serve its own sessions only; SERVER is its address, the text of its \
                \"server\" line, or its id= or route=",
        flags: peers::DRAIN,
        run: peers::drain,
    },
    Command {
        name: "dump",
        operands: "FILE",
        about: "print a configuration as JSON in crossplane's schema, or with --build make files of such JSON",
        flags: &[
            flag("include-comments", "comments too"),
            flag("single-file", "do not follow includes"),
            flag("build", "FILE is JSON (\"-\": the standard input); print the configuration that it holds"),
            Flag { name: "directory", value: Some("DIR"), about: "with --build: write the files below DIR" },
        ],
        run: dump::run,
    },
    Command {
        name: "explain",
        operands: "'GET https://host/path'",
        about: "say where a request goes and why, with the code that serves: socket, server, location, rewrites, session, \
                peer, and the heads that the backend and the client get; nothing is connected to",
        flags: explain::FLAGS,
        run: explain::run,
    },
    Command {
        name: "fmt",
        operands: "FILE…|-",
        about: "bring files into nginx's style; no word and no comment changes",
        flags: &[flag("check", "write nothing; name what is not in style and exit with 1")],
        run: fmt::run,
    },
    Command {
        name: "forget",
        operands: "UPSTREAM SESSION",
        about: "let \"sticky learn\" of the tenrec that runs forget a session, in memory and in its store; SESSION is its \
                name, or md5: and the MD5 of it",
        flags: sessions::FORGET,
        run: sessions::forget,
    },
    Command {
        name: "help",
        operands: "[COMMAND]",
        about: "say what the options and commands are, or what a command does",
        flags: &[],
        run: help,
    },
    Command {
        name: "lint",
        operands: "FILE",
        about: "say what a configuration does to sessions (S1 to S17); a line is left out when it or the one above has \
                \"# tenrec-ignore S4: REASON\"",
        flags: lint::FLAGS,
        run: lint::run,
    },
    Command {
        name: "man",
        operands: "",
        about: "print the manual, a page for man",
        flags: &[],
        run: man::run,
    },
    Command {
        name: "migrate",
        operands: "FILE…|-",
        about: "write another system's configuration as one that tenrec runs, and what became of each line; \
                exit with 1 if anything was dropped, with 2 if nothing could be written",
        flags: migrate::FLAGS,
        run: migrate::run,
    },
    Command {
        name: "peers",
        operands: "[UPSTREAM]",
        about: "show the servers of the tenrec that runs: the verdict on each, its connections, and the sessions that one \
                which drains still has",
        flags: peers::PEERS,
        run: peers::peers,
    },
    Command {
        name: "sessions",
        operands: "UPSTREAM [SESSION]",
        about: "show how many sessions \"sticky learn\" of the tenrec that runs has with each server, or where one is",
        flags: sessions::SESSIONS,
        run: sessions::sessions,
    },
    Command {
        name: "sticky",
        operands: "encode UPSTREAM SERVER|decode COOKIE|fingerprint [FILE…]",
        about: "write the session cookie of a server, say what one means, or name the keys of signed ones without showing \
                them; exit with 1 when the cookie means no server, with 2 when nothing could be said",
        flags: sticky::FLAGS,
        run: sticky::run,
    },
    Command {
        name: "undrain",
        operands: "UPSTREAM SERVER",
        about: "take back what drain did: the server takes new sessions again",
        flags: peers::UNDRAIN,
        run: peers::undrain,
    },
];

const fn flag(name: &'static str, about: &'static str) -> Flag {
    Flag { name, value: None, about }
}

/// Options and operands of a subcommand.
#[derive(Default)]
pub(super) struct Words {
    given: Vec<(&'static str, OsString)>,
    pub(super) operands: Vec<OsString>,
}

impl Words {
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The last value given.
    pub(super) fn value(&self, name: &str) -> Option<&OsString> {
        self.given.iter().rev().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// All values given, in their order.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &OsString> {
        self.given.iter().filter(move |(n, _)| *n == name).map(|(_, value)| value)
    }

    fn read(flags: &'static [Flag], args: &[OsString]) -> Result<Self, String> {
        let mut out = Self::default();
        let mut words = args.iter();
        while let Some(word) = words.next() {
            let bytes = word.as_bytes();
            if bytes == b"--" {
                out.operands.extend(words.by_ref().cloned());
            } else if let Some(option) = bytes.strip_prefix(b"--") {
                let (name, value) = match option.iter().position(|&b| b == b'=') {
                    Some(at) => (&option[..at], option.get(at + 1..)),
                    None => (option, None),
                };
                let Some(flag) = flags.iter().find(|f| f.name.len() > 1 && f.name.as_bytes() == name) else {
                    return Err(format!("unknown option \"{}\"", word.to_string_lossy()));
                };
                let value = match (flag.value, value) {
                    (None, None) => OsString::new(),
                    (None, Some(_)) => return Err(format!("option \"--{}\" takes no value", flag.name)),
                    (Some(_), Some(value)) => OsStr::from_bytes(value).to_owned(),
                    (Some(what), None) => match words.next() {
                        Some(next) => next.clone(),
                        None => return Err(format!("option \"--{}\" requires {what}", flag.name)),
                    },
                };
                out.given.push((flag.name, value));
            } else if let [b'-', letter, rest @ ..] = bytes {
                let Some(flag) = flags.iter().find(|f| f.name.as_bytes() == [*letter]) else {
                    return Err(format!("unknown option \"{}\"", word.to_string_lossy()));
                };
                let value = match (flag.value, rest) {
                    (None, []) => OsString::new(),
                    (None, _) => return Err(format!("unknown option \"{}\"", word.to_string_lossy())),
                    (Some(what), []) => match words.next() {
                        Some(next) => next.clone(),
                        None => return Err(format!("option \"-{}\" requires {what}", flag.name)),
                    },
                    (Some(_), value) => OsStr::from_bytes(value).to_owned(),
                };
                out.given.push((flag.name, value));
            } else {
                out.operands.push(word.clone());
            }
        }
        Ok(out)
    }
}

/// Runs the subcommand of a command line (the program's name first) and returns the exit code; `None`: there is none.
pub(super) fn run(argv: &[OsString]) -> Option<u8> {
    let command = named(argv.get(1)?)?;
    let args = argv.get(2..).unwrap_or_default();
    if args.iter().any(|a| a == "--help" || a == "-h") {
        print(command.help().as_bytes());
        return Some(0);
    }
    let outcome = Words::read(command.flags, args).and_then(command.run);
    Some(outcome.unwrap_or_else(|text| {
        say(&format!("{}: {text}", command.name));
        1
    }))
}

/// A line about what went wrong.
pub(super) fn say(text: &str) {
    sys::write_stderr(format!("tenrec: {text}\n").as_bytes());
}

/// To the standard output. A reader that has gone is no failure.
pub(super) fn print(text: &[u8]) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text).and_then(|()| out.flush());
}

/// The standard input to its end.
pub(super) fn stdin() -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut text);
    read.map_err(|e| format!("standard input: {}", sys::err_text(&e)))?;
    Ok(text)
}
