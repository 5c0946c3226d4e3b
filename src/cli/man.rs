//! `tenrec man`: the manual, out of the tables of options, subcommands and directives.

use std::fmt::Write as _;

use crate::directives::{self, Origin, Row, Status};

use super::options::{LETTERS, LONG};
use super::sub::{COMMANDS, Flag, Words, print};

pub(super) fn run(words: Words) -> Result<u8, String> {
    if !words.operands.is_empty() {
        return Err("no operand is taken".to_owned());
    }
    print(page().as_bytes());
    Ok(0)
}

/// The page in man's macros.
pub(super) fn page() -> String {
    let mut out = format!(
        ".\\\" Written by \"tenrec man\".\n.TH TENREC 8 \"\" \"tenrec {}\" \"System Manager's Manual\"\n",
        env!("CARGO_PKG_VERSION")
    );
    section(&mut out, "NAME");
    out += "tenrec \\- a reverse proxy that reads nginx's configuration files and keeps sessions on their servers\n";
    section(&mut out, "SYNOPSIS");
    out += ".B tenrec\n[\\fIoption\\fR ...]\n.br\n.B tenrec\n\\fIcommand\\fR [\\fIoption\\fR ...] [\\fIoperand\\fR ...]\n";
    section(&mut out, "OPTIONS");
    for option in LETTERS {
        item(&mut out, &option.shown(), &option.about());
    }
    LONG.iter().for_each(|flag| flag_item(&mut out, flag));
    section(&mut out, "COMMANDS");
    for command in COMMANDS {
        let _ = writeln!(out, ".SS {}", roff(&format!("{} {}", command.name, command.operands)));
        let _ = writeln!(out, "{}.", roff(command.about));
        command.flags.iter().for_each(|flag| flag_item(&mut out, flag));
    }
    section(&mut out, "DIRECTIVES");
    let all = |f: &dyn Fn(&Row) -> bool| directives::all().iter().filter(|r| f(r)).count();
    let done = |r: &Row| matches!(r.status, Status::Full | Status::Partial);
    let _ = writeln!(
        out,
        "{} directives of nginx are carried out, and {} more are accepted without effect; \\fBtenrec \\-t\\fR names those.",
        all(&|r| r.origin == Origin::Nginx && done(r)),
        all(&|r| r.status == Status::Inert)
    );
    out += "Those that nginx does not have:\n";
    for row in directives::all().iter().filter(|r| r.origin != Origin::Nginx && done(r)) {
        let contexts: Vec<&str> = directives::CONTEXTS
            .iter()
            .filter(|(context, ..)| row.contexts.contains(*context))
            .map(|(_, name, _)| *name)
            .collect();
        let note = if row.note.is_empty() { String::new() } else { format!(" ({})", row.note) };
        let about = format!("{}{note} In {}; from {}.", row.help, contexts.join(", "), row.origin.word());
        item(&mut out, row.name, &about);
    }
    section(&mut out, "EXIT STATUS");
    out += "0: it went well. 1: it did not, or what a command looked for is there: \\fBtenrec \\fIcommand\\fB \\-\\-help\\fR \
            says what. 2: the command could not do its work.\n";
    section(&mut out, "SEE ALSO");
    out += "nginx(8)\n";
    out
}

fn section(out: &mut String, name: &str) {
    let _ = writeln!(out, ".SH {name}");
}

fn flag_item(out: &mut String, flag: &Flag) {
    item(out, &flag.shown(), flag.about);
}

fn item(out: &mut String, name: &str, about: &str) {
    let _ = writeln!(out, ".TP\n\\fB{}\\fR\n{}", roff(name), line(about));
}

/// A text that is a line of its own.
fn line(text: &str) -> String {
    let text = roff(text);
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// A text whose every letter means itself.
fn roff(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out += "\\e",
            '-' => out += "\\-",
            '\'' => out += "\\(aq",
            '`' => out += "\\(ga",
            '^' => out += "\\(ha",
            '~' => out += "\\(ti",
            c if c.is_ascii() => out.push(c),
            c => {
                let _ = write!(out, "\\[u{:04X}]", u32::from(c));
            }
        }
    }
    out
}
