//! The programs of `set`, `if`, `rewrite`, `return` and `break`.

use super::captures::run_regex;
use super::context::Bytes;
use super::{Event, Request, Rewritten, ThreadState, uri};
use crate::diag::Severity;
use crate::plan::{FileKind, Op, Part, Plan, Program, Return, Rewrite, SetTo, Template, Test, Var};
use crate::sys::err_text;
use crate::values;
use crate::vars::Source as _;

/// How a program ended.
#[derive(Debug)]
pub(super) enum End<'p> {
    /// The request goes on. `changed`: a `rewrite` asks for the location of its path.
    On {
        changed: bool,
    },
    Return(&'p Return),
    Status(u16),
}

/// Where a program is.
struct Run<'r> {
    req: &'r mut Request,
    thread: &'r ThreadState,
    plan: &'r Plan,
    /// `rewrite_log` of the location that has the program.
    log: bool,
    /// Captures are escaped where they become part of a value: until a `rewrite` was carried out.
    quote: bool,
    changed: bool,
}

/// What an operation leads to.
enum Flow {
    Next,
    /// At this operation.
    Jump(usize),
    /// The program is over.
    Exit,
    Status(u16),
}

/// Runs a program in the request's location.
pub(super) fn run<'p>(
    req: &mut Request,
    thread: &ThreadState,
    plan: &'p Plan,
    program: &'p Program,
) -> End<'p> {
    let log = req.location().rewrite_log;
    let mut run = Run { req, thread, plan, log, quote: true, changed: false };
    let mut at = 0;
    while let Some(op) = program.ops.get(at) {
        at += 1;
        let flow = match op {
            Op::Set { to, value } => run.set(*to, value),
            Op::If { test, enter, end } => match run.tested(test) {
                Ok(true) => {
                    if let Some(loc) = enter {
                        super::phases::enter(run.req, *loc);
                    }
                    Flow::Next
                }
                Ok(false) => Flow::Jump(*end),
                Err(status) => Flow::Status(status),
            },
            Op::Rewrite(rewrite) => run.rewrite(rewrite),
            Op::Return(ret) => return End::Return(ret),
            Op::Break => {
                run.req.note(|| Event::Break);
                if run.changed {
                    run.req.valid_location = false;
                    run.changed = false;
                }
                Flow::Exit
            }
        };
        match flow {
            Flow::Next => {}
            Flow::Jump(to) => at = to,
            Flow::Exit => break,
            Flow::Status(status) => return End::Status(status),
        }
    }
    End::On { changed: run.changed }
}

impl Run<'_> {
    /// Appends a text, its captures escaped if `quote` and if the client's path had something to escape.
    fn text(&self, template: &Template, quote: bool, out: &mut Vec<u8>) {
        let quote = quote && needs_quotes(self.req);
        for part in &template.parts {
            match part {
                Part::Text(t) => out.extend_from_slice(t),
                Part::Var(Var::Capture(n)) if quote => {
                    if let Some(value) = self.req.captures.borrow().get(usize::from(*n)) {
                        uri::escape_arg(value, out);
                    }
                }
                Part::Var(var) => {
                    self.req.append(var, out);
                }
            }
        }
    }

    fn value(&self, template: &Template) -> Vec<u8> {
        let mut out = Vec::new();
        self.text(template, self.quote, &mut out);
        out
    }

    fn var(&self, var: &Var) -> Vec<u8> {
        let mut out = Vec::new();
        self.req.append(var, &mut out);
        out
    }

    fn notice(&self, text: std::fmt::Arguments<'_>) {
        if self.log {
            self.thread.log_error(self.req, Severity::Notice, text);
        }
    }

    fn set(&mut self, to: SetTo, value: &Template) -> Flow {
        let value = self.value(value);
        self.req.note(|| Event::Set { to, value: value.clone() });
        match to {
            SetTo::Slot(slot) => self.req.set_slot(slot, value),
            SetTo::Args => {
                self.req.args = value;
                self.req.valid_unparsed_uri = false;
            }
            SetTo::LimitRate => match values::size(&value) {
                Some(rate) => self.req.limit_rate = Some(rate),
                None => self.thread.log_error(
                    self.req,
                    Severity::Error,
                    format_args!("invalid $limit_rate \"{}\"", Bytes(&value)),
                ),
            },
        }
        Flow::Next
    }

    fn tested(&mut self, test: &Test) -> Result<bool, u16> {
        let holds = self.test(test)?;
        self.req.note(|| Event::If { test: test.clone(), holds });
        Ok(holds)
    }

    /// Whether a condition holds; `Err`: the status of a regex that could not be run.
    fn test(&mut self, test: &Test) -> Result<bool, u16> {
        match test {
            Test::True(var) => Ok(!matches!(&self.var(var)[..], b"" | b"0")),
            Test::Equal { var, value, not } => Ok((self.var(var) == self.value(value)) != *not),
            Test::Matches { var, regex, not } => {
                let subject = self.var(var);
                self.matches(*regex, &subject).map(|yes| yes != *not)
            }
            Test::File { path, kind, not } => {
                let path = self.value(path);
                Ok(self.file(&path, *kind) != *not)
            }
        }
    }

    /// Runs a regex; one that does not match leaves no captures.
    fn matches(&mut self, regex: crate::plan::RegexId, subject: &[u8]) -> Result<bool, u16> {
        let matched = run_regex(self.req, self.plan, regex, subject).map_err(|_| 500_u16)?;
        if !matched {
            self.req.captures.borrow_mut().clear();
        }
        if self.log {
            let pattern = self.plan.regexes.get(regex.ix()).map_or("", |r| &r.pattern);
            let how = if matched { "matches" } else { "does not match" };
            self.notice(format_args!("\"{pattern}\" {how} \"{}\"", Bytes(subject)));
        }
        Ok(matched)
    }

    fn file(&self, path: &[u8], kind: FileKind) -> bool {
        use std::os::unix::ffi::OsStrExt as _;
        use std::os::unix::fs::MetadataExt as _;
        match std::fs::metadata(std::ffi::OsStr::from_bytes(path)) {
            Ok(meta) => match kind {
                FileKind::Plain => meta.is_file(),
                FileKind::Dir => meta.is_dir(),
                FileKind::Any => meta.is_file() || meta.is_dir(),
                FileKind::Exec => meta.mode() & 0o100 != 0,
            },
            Err(e) => {
                let known = [libc::ENOENT, libc::ENOTDIR, libc::ENAMETOOLONG];
                if e.raw_os_error().is_some_and(|code| !known.contains(&code)) {
                    self.thread.log_error(
                        self.req,
                        Severity::Crit,
                        format_args!("stat() \"{}\" failed ({})", Bytes(path), err_text(&e)),
                    );
                }
                false
            }
        }
    }

    /// Notes a `rewrite` before the path becomes what it made.
    fn note_rewrite(&self, rewrite: &Rewrite, to: impl FnOnce() -> Option<Rewritten>) {
        let subject = || self.req.uri.clone();
        self.req.note(|| Event::Rewrite { regex: rewrite.regex, subject: subject(), to: to() });
    }

    fn rewrite(&mut self, rewrite: &Rewrite) -> Flow {
        let path = std::mem::take(&mut self.req.uri);
        let matched = self.matches(rewrite.regex, &path);
        self.req.uri = path;
        match matched {
            Ok(true) => {}
            Ok(false) => {
                self.note_rewrite(rewrite, || None);
                return Flow::Next;
            }
            Err(status) => return Flow::Status(status),
        }
        self.req.internal = true;
        self.req.valid_unparsed_uri = false;
        if rewrite.stay {
            self.req.valid_location = false;
        }
        self.changed = !rewrite.stay;
        let mut to = Vec::new();
        self.text(&rewrite.path, rewrite.redirect.is_some(), &mut to);
        self.quote = false;
        if let Some(redirection) = rewrite.redirect {
            let mut to = uri::unescape_redirect(&to);
            if rewrite.keep_args && !self.req.args.is_empty() {
                to.push(if redirection.has_args { b'&' } else { b'?' });
                to.extend_from_slice(&self.req.args);
            }
            self.notice(format_args!("rewritten redirect: \"{}\"", Bytes(&to)));
            self.note_rewrite(rewrite, || Some(Rewritten::Redirect(to.clone())));
            self.req.out.set_location(&to);
            return Flow::Status(redirection.status);
        }
        if let Some(template) = &rewrite.args {
            let mut args = Vec::new();
            self.text(template, true, &mut args);
            if rewrite.keep_args && !self.req.args.is_empty() {
                args.push(b'&');
                args.extend_from_slice(&self.req.args);
            }
            self.req.args = args;
        } else if !rewrite.keep_args {
            self.req.args.clear();
        }
        self.note_rewrite(rewrite, || Some(Rewritten::Uri { path: to.clone(), args: self.req.args.clone() }));
        self.notice(format_args!("rewritten data: \"{}\", args: \"{}\"", Bytes(&to), Bytes(&self.req.args)));
        self.req.uri = to;
        if self.req.uri.is_empty() {
            self.thread.log_error(
                self.req,
                Severity::Error,
                format_args!("the rewritten URI has a zero length"),
            );
            return Flow::Status(500);
        }
        if rewrite.last { Flow::Exit } else { Flow::Next }
    }
}

/// The path came with a `%` or a `+` in it: what was captured of it is escaped again where it becomes an argument.
fn needs_quotes(req: &Request) -> bool {
    let target = req.head.target();
    let path = target.split(|b| matches!(b, b'?' | b'#')).next().unwrap_or_default();
    memchr::memchr2(b'%', b'+', path).is_some()
}
