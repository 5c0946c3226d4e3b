//! What there is to say about a configuration, for machines: JSON, SARIF 2.1.0, GitHub's workflow commands.

use std::path::Path;

use serde_json::{Value, json};

use crate::diag::{Diag, Diags, FileId, Severity, Span, to_json};
use crate::directives::{Ignored, inert};
use crate::explain::pins::Impact;
use crate::lint::Finding;
use crate::source::Conf;
use crate::syntax::Body;

use super::check::Level;
use super::impact;
use super::zones;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Sarif,
    Github,
}

impl Format {
    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "json" => Some(Self::Json),
            "sarif" => Some(Self::Sarif),
            "github" => Some(Self::Github),
            _ => None,
        }
    }
}

pub(super) struct Report<'a> {
    pub(super) conf: &'a Conf,
    pub(super) diags: &'a Diags,
    pub(super) main: &'a Path,
    pub(super) level: Level,
    /// Advice that is among `diags`, for its fixes.
    pub(super) findings: &'a [Finding],
    /// The file that was put around a fragment: nobody is told of it.
    pub(super) around: &'a str,
    /// What becomes of the sessions that are; `None`: nothing runs.
    pub(super) impacts: Option<&'a [Impact]>,
}

/// What a machine may do about a thing: these bytes for those, within one file.
struct Fix {
    title: String,
    edits: Vec<(Span, String)>,
}

impl Report<'_> {
    pub(super) fn text(&self, format: Format) -> String {
        match format {
            Format::Json => format!("{:#}\n", self.json()),
            Format::Sarif => format!("{:#}\n", self.sarif()),
            Format::Github => self.diags.iter().map(|d| self.command(d)).collect(),
        }
    }

    fn json(&self) -> Value {
        let list: Vec<Value> = self.diags.iter().map(|d| self.diagnostic(d)).collect();
        json!({
            "tenrec": env!("CARGO_PKG_VERSION"),
            "file": self.main.display().to_string(),
            "level": self.level.word(),
            "verdict": if self.diags.fatal() { "failed" } else { "ok" },
            "diagnostics": list,
            "ignored": inert(self.conf).iter().map(|i| self.ignored(i)).collect::<Vec<_>>(),
            "sessions": impact::json(self.impacts),
            "zones": zones::json(self.conf),
        })
    }

    /// A directive that is accepted and does nothing.
    fn ignored(&self, one: &Ignored) -> Value {
        let file = self.conf.map.file(one.span.file);
        json!({ "directive": one.row.name, "file": file.name, "line": file.line_col(one.span.start).0 })
    }

    fn diagnostic(&self, diag: &Diag) -> Value {
        let mut out = to_json(&self.conf.map, diag);
        let chain: Vec<Value> = self
            .chain(diag)
            .iter()
            .map(|&(file, line)| json!({ "file": self.name(file), "line": line }))
            .collect();
        out["include_chain"] = chain.into();
        out["block"] = self.block(diag).into();
        out["fix"] = self.fix(diag).map_or(Value::Null, |fix| {
            let edits = fix.edits.iter().map(|(span, text)| {
                let file = self.conf.map.file(span.file);
                let place = |offset| {
                    let (line, column) = file.line_col(offset);
                    json!({ "line": line, "column": column })
                };
                json!({ "file": file.name, "start": place(span.start), "end": place(span.end), "text": text })
            });
            json!({ "title": fix.title, "edits": edits.collect::<Vec<_>>() })
        });
        out
    }

    /// The one thing to do, where there is only one.
    fn fix(&self, diag: &Diag) -> Option<Fix> {
        let span = diag.span?;
        let one = |title: String, text: &str| Some(Fix { title, edits: vec![(span, text.to_owned())] });
        match diag.code {
            "unknown-directive" | "bad-value" => {
                let name = diag.hint.as_deref()?.strip_prefix("did you mean \"")?.strip_suffix("\"?")?;
                let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'='));
                if plain { one(format!("write \"{name}\""), name) } else { None }
            }
            "byte-order-mark" => one("remove the byte order mark".to_owned(), ""),
            code => {
                let same =
                    |f: &&Finding| f.diag.code == code && f.diag.span == diag.span && !f.edits.is_empty();
                let finding = self.findings.iter().find(same)?;
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let edits = finding.edits.iter().map(|(span, bytes)| (*span, text(bytes))).collect();
                Some(Fix { title: format!("do what {code} says"), edits })
            }
        }
    }

    fn name(&self, file: FileId) -> &str {
        &self.conf.map.file(file).name
    }

    /// The `include`s that brought the file of a diagnostic in, the nearest first.
    fn chain(&self, diag: &Diag) -> Vec<(FileId, u32)> {
        let mut chain = Vec::new();
        let mut file = place(diag).map(|(file, _)| file);
        while let Some(span) = file.and_then(|f| self.conf.map.file(f).included_at) {
            let source = self.conf.map.file(span.file);
            if source.name != self.around {
                chain.push((span.file, source.line_col(span.start).0));
            }
            file = Some(span.file);
        }
        chain
    }

    /// The blocks around a diagnostic, the outermost first.
    fn block(&self, diag: &Diag) -> Vec<String> {
        let mut path = Vec::new();
        let mut at = place(diag);
        while let Some((file, offset)) = at {
            let mut own = Vec::new();
            if let Some(tree) = self.conf.trees.get(file.0 as usize) {
                let mut ids = &tree.roots[..];
                // The last directive that begins before the place is the only one that it can be in.
                while let Some(i) =
                    ids.partition_point(|&id| tree.node(id).span.start <= offset).checked_sub(1)
                    && let Some(node) = ids.get(i).map(|&id| tree.node(id))
                    && let Body::Block { open, children, close } = &node.body
                    && *open < offset
                    && offset <= *close
                {
                    let words = std::iter::once(&node.name).chain(&node.args);
                    let words: Vec<_> = words.map(|w| String::from_utf8_lossy(&w.value)).collect();
                    own.push(words.join(" "));
                    ids = children;
                }
            }
            own.append(&mut path);
            path = own;
            at = self.conf.map.file(file).included_at.map(|span| (span.file, span.start));
        }
        path
    }

    fn sarif(&self) -> Value {
        let mut codes: Vec<&str> = self.diags.iter().map(|d| d.code).collect();
        codes.sort_unstable();
        codes.dedup();
        let rules: Vec<Value> = codes.iter().map(|code| json!({ "id": code })).collect();
        let results: Vec<Value> = self.diags.iter().map(|d| self.result(d)).collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": { "name": "tenrec", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
                "columnKind": "unicodeCodePoints",
                "results": results,
            }],
        })
    }

    fn result(&self, diag: &Diag) -> Value {
        let level = match diag.severity {
            s if s.is_fatal() => "error",
            Severity::Warn => "warning",
            _ => "note",
        };
        let mut out = json!({ "ruleId": diag.code, "level": level, "message": { "text": said(diag) } });
        if let Some(span) = span(diag) {
            let region = self.region(span);
            out["locations"] = json!([{ "physicalLocation": {
                "artifactLocation": { "uri": uri(self.name(span.file)) }, "region": region,
            } }]);
        }
        let chain = self.chain(diag);
        if !chain.is_empty() {
            let related = chain.iter().map(|&(file, line)| {
                json!({
                    "message": { "text": "included here" },
                    "physicalLocation": {
                        "artifactLocation": { "uri": uri(self.name(file)) }, "region": { "startLine": line },
                    },
                })
            });
            out["relatedLocations"] = related.collect();
        }
        if let Some(fix) = self.fix(diag)
            && let Some((first, _)) = fix.edits.first()
        {
            let edits = fix.edits.iter().map(|(span, text)| {
                json!({ "deletedRegion": self.region(*span), "insertedContent": { "text": text } })
            });
            out["fixes"] = json!([{
                "description": { "text": fix.title },
                "artifactChanges": [{
                    "artifactLocation": { "uri": uri(self.name(first.file)) },
                    "replacements": edits.collect::<Vec<_>>(),
                }],
            }]);
        }
        out
    }

    /// Lines and columns from 1, columns in characters.
    fn region(&self, span: Span) -> Value {
        let file = self.conf.map.file(span.file);
        let place = |offset| {
            let (line, column) = file.line_col(offset);
            let before = file.line(line);
            let before = before.get(..(column as usize - 1).min(before.len())).unwrap_or_default();
            (line, String::from_utf8_lossy(before).chars().count() + 1)
        };
        let ((line, column), (end_line, end_column)) = (place(span.start), place(span.end));
        json!({ "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column })
    }

    /// One of GitHub's workflow commands, which become annotations.
    fn command(&self, diag: &Diag) -> String {
        let word = match diag.severity {
            s if s.is_fatal() => "error",
            Severity::Warn => "warning",
            _ => "notice",
        };
        let value = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
        let mut out = format!("::{word} title={}", value(diag.code));
        if let Some(span) = span(diag) {
            let region = self.region(span);
            out += &format!(
                ",file={},line={},col={},endLine={},endColumn={}",
                value(&relative(self.name(span.file))),
                region["startLine"],
                region["startColumn"],
                region["endLine"],
                region["endColumn"]
            );
        }
        format!("{out}::{}\n", data(&said(diag)))
    }
}

fn place(diag: &Diag) -> Option<(FileId, u32)> {
    diag.span.map(|s| (s.file, s.start)).or(diag.at)
}

fn span(diag: &Diag) -> Option<Span> {
    diag.span.or(diag.at.map(|(file, at)| Span::new(file, at, at)))
}

fn said(diag: &Diag) -> String {
    diag.hint.as_ref().map_or_else(|| diag.text().into_owned(), |hint| format!("{}\n{hint}", diag.text()))
}

/// A text as the data of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A name against the current directory when it is below it: what a repository is viewed by.
fn relative(name: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let inside = Path::new(name).strip_prefix(&here).ok().filter(|p| !p.as_os_str().is_empty());
    inside.map_or_else(|| name.to_owned(), |p| p.display().to_string())
}

fn uri(name: &str) -> String {
    let path = relative(name);
    let mut out = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    for b in path.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(b))
            }
            b => out += &format!("%{b:02X}"),
        }
    }
    out
}
