//! The check of a whole configuration, in nginx's words and in the order in which its reader asks: known, allowed here,
//! `;` or `{`, number of arguments, then the value of what takes `on` or `off` and what may stand once only.

use std::collections::HashSet;

use smallvec::SmallVec;

use super::{Context, Count, Id, Kind, Row, Status, hint, id, value};
use crate::diag::{Diag, Diags, FileId, Severity, Span};
use crate::source::{Children, Conf, Dir};
use crate::syntax::Body;
use crate::values::c_text;

/// How many unknown names get a "did you mean".
const NEAR: usize = 50;

/// How many errors are told one by one; the others are counted.
const TOLD: usize = 1000;

/// A directive that is accepted and does nothing.
#[derive(Debug, Clone, Copy)]
pub struct Ignored {
    pub row: &'static Row,
    pub span: Span,
}

/// Says everything that the table knows to be wrong. The answer: where directives end that were found wrong.
pub fn check(conf: &Conf, diags: &mut Diags) -> HashSet<(FileId, u32)> {
    let mut faults = Faults::default();
    walk(conf, &mut faults, &mut Vec::new());
    diags.extend(faults.told);
    if faults.count > TOLD {
        let more = faults.count - TOLD;
        diags.push(Diag::emerg("more-errors", format!("{more} more errors in directives")));
    }
    faults.places
}

/// The directives that are accepted and ignored, in order: `-t` lists them.
pub fn inert(conf: &Conf) -> Vec<Ignored> {
    let mut ignored = Vec::new();
    walk(conf, &mut Faults::default(), &mut ignored);
    ignored
}

/// What is wrong. A file of other content than nginx's is wrong in every line.
#[derive(Default)]
struct Faults {
    told: Diags,
    count: usize,
    places: HashSet<(FileId, u32)>,
}

/// A block whose directives are being read. Blocks are kept on a heap stack: depth is the file's to choose.
struct Frame<'c> {
    rest: Children<'c>,
    context: Context,
    /// What may stand once and was seen.
    seen: SmallVec<[Id; 8]>,
    /// Inside a block that was refused as a whole.
    refused: bool,
}

fn walk(conf: &Conf, faults: &mut Faults, ignored: &mut Vec<Ignored>) {
    let mut frames =
        vec![Frame { rest: conf.main(), context: Context::MAIN, seen: SmallVec::new(), refused: false }];
    let mut unknown = 0;
    while let Some(frame) = frames.last_mut() {
        let Some(dir) = frame.rest.next() else {
            frames.pop();
            continue;
        };
        let seen = See { frame, faults: &mut *faults, ignored: &mut *ignored, unknown: &mut unknown };
        let seen = seen.directive(dir);
        if let Some((context, refused)) = seen {
            frames.push(Frame { rest: dir.children(), context, seen: SmallVec::new(), refused });
        }
    }
}

struct See<'a, 'c> {
    frame: &'a mut Frame<'c>,
    faults: &'a mut Faults,
    ignored: &'a mut Vec<Ignored>,
    unknown: &'a mut usize,
}

impl See<'_, '_> {
    /// The context that the directive's block is, when there is one to read, and whether refusals are known there.
    fn directive(mut self, dir: Dir<'_>) -> Option<(Context, bool)> {
        let name = String::from_utf8_lossy(c_text(&dir.node().name.value));
        let here = self.frame.context;
        let Some(id) = id(dir.name()) else {
            // A look at every name is dear; a file of other content than nginx's has many that are unknown.
            *self.unknown += 1;
            let hint = if *self.unknown <= NEAR { hint::unknown(&name, here) } else { None };
            self.say(dir, "unknown-directive", format!("unknown directive \"{name}\""), hint);
            return None;
        };
        let Some(row) = pick(id, here, dir.args().len()) else {
            let hint = Some(hint::contexts(id, here));
            self.say(dir, "not-allowed-here", format!("\"{name}\" directive is not allowed here"), hint);
            // What is inside may be wrong too; it is read as where it would be at home.
            return opens(misplaced(id, here), here).map(|c| (c, self.frame.refused));
        };
        if !row.arity.block && !matches!(dir.node().body, Body::None) {
            let text = format!("directive \"{name}\" is not terminated by \";\"");
            self.say(dir, "not-terminated", text, None);
            return None;
        }
        if row.arity.block && matches!(dir.node().body, Body::None) {
            self.say(dir, "no-opening", format!("directive \"{name}\" has no opening \"{{\""), None);
            return None;
        }
        let inside = opens(row, here);
        if !row.arity.count.allows(dir.args().len()) {
            let text = format!("invalid number of arguments in \"{name}\" directive");
            self.say(dir, "arguments", text, Some(hint::count(row)));
            return inside.map(|c| (c, self.frame.refused));
        }
        if inside.is_none() {
            // `types`, `map`, …: what stands inside are pairs, not directives.
            for nested in dir.children().filter(|child| child.has_block()) {
                self.say(nested, "unexpected-open", "unexpected \"{\"".to_owned(), None);
            }
        }
        if !row.status.starts() {
            return self.refuse(dir, row, &name).then_some(inside.map(|c| (c, true))).flatten();
        }
        if !row.repeat {
            if self.frame.seen.contains(&row.id) {
                self.say(dir, "duplicate", format!("\"{name}\" directive is duplicate"), None);
                return inside.map(|c| (c, self.frame.refused));
            }
            self.frame.seen.push(row.id);
        }
        if row.arity.count == Count::Flag && row.kind == Kind::Flag && !is_flag(dir.arg(0)) {
            let text = format!(
                "invalid value \"{}\" in \"{name}\" directive, it must be \"on\" or \"off\"",
                String::from_utf8_lossy(dir.arg(0))
            );
            self.say(dir, "bad-value", text, None);
            return inside.map(|c| (c, self.frame.refused));
        }
        if row.status == Status::Inert {
            if let Some(text) = value::fault(row, dir) {
                self.say(dir, "bad-value", text, None);
            }
            self.ignored.push(Ignored { row, span: dir.span() });
        }
        inside.map(|c| (c, self.frame.refused))
    }

    /// A directive that is known and not carried out is an error, unless it says that the thing is off and off it is.
    fn refuse(&mut self, dir: Dir<'_>, row: &'static Row, name: &str) -> bool {
        if row.default == Some("off") && dir.args().len() == 1 && dir.arg(0).eq_ignore_ascii_case(b"off") {
            self.ignored.push(Ignored { row, span: dir.span() });
            return false;
        }
        if !self.frame.refused {
            let text = match row.status {
                Status::Planned => format!("\"{name}\" directive is not supported by tenrec yet"),
                _ => format!("\"{name}\" directive is not supported by tenrec"),
            };
            self.say(dir, "not-supported", text, Some(hint::refused(row)));
        }
        true
    }

    fn say(&mut self, dir: Dir<'_>, code: &'static str, message: String, hint: Option<String>) {
        let span = match code {
            "unknown-directive" | "not-allowed-here" => dir.node().name.span,
            "bad-value" => dir.arg_span(0),
            _ => dir.span(),
        };
        self.faults.places.insert(dir.at());
        self.faults.count += 1;
        if self.faults.count > TOLD {
            return;
        }
        self.faults.told.push(Diag {
            severity: Severity::Emerg,
            code,
            message,
            span: Some(span),
            at: Some(dir.at()),
            hint,
        });
    }
}

/// The row that holds here; of two (`slice` is one thing to nginx and another to Tengine) the one whose count fits.
pub fn pick(id: Id, here: Context, args: usize) -> Option<&'static Row> {
    let mut rows = id.rows().iter().filter(|row| row.contexts.intersects(here));
    let first = rows.next()?;
    if first.arity.count.allows(args) {
        return Some(first);
    }
    Some(rows.find(|row| row.arity.count.allows(args)).unwrap_or(first))
}

/// The row that was most likely meant by one who put it in the wrong place.
fn misplaced(id: Id, here: Context) -> &'static Row {
    let rows = id.rows();
    let of = |place: Context| rows.iter().find(move |row| hint::same_family(row.contexts, place));
    of(here).or_else(|| of(Context::HTTP)).unwrap_or(&rows[0])
}

pub fn opens(row: &Row, here: Context) -> Option<Context> {
    match row.opens {
        none if none.is_empty() => None,
        branch if branch.contains(Context::IF_IN_LOCATION) && here == Context::SERVER => {
            Some(Context::IF_IN_SERVER)
        }
        branch if branch.contains(Context::IF_IN_LOCATION) => Some(Context::IF_IN_LOCATION),
        one => Some(one),
    }
}

fn is_flag(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"on") || value.eq_ignore_ascii_case(b"off")
}
