//! HAProxy's file: words of lines, lines of sections.

use super::super::input::{Input, Place, Problem};

/// A line with words on it.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) words: Vec<String>,
    /// As written, without blanks at its ends and without its comment.
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) struct Section {
    /// `global`, `defaults`, `frontend`, …
    pub(super) kind: String,
    pub(super) name: String,
    /// The line that opens it; `None` for lines that stand before every section.
    pub(super) head: Option<Line>,
    pub(super) lines: Vec<Line>,
}

const SECTIONS: &[&str] = &[
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "resolvers",
    "userlist",
    "mailers",
    "program",
    "cache",
    "http-errors",
    "ring",
    "log-forward",
    "fcgi-app",
    "ruleset",
];

impl Line {
    pub(super) fn word(&self, i: usize) -> &str {
        self.words.get(i).map_or("", String::as_str)
    }

    /// The words from `i` on.
    pub(super) fn from(&self, i: usize) -> &[String] {
        self.words.get(i..).unwrap_or_default()
    }
}

/// Reads every input, one after the other, as HAProxy does with several `-f`.
pub(super) fn read(inputs: &[Input]) -> Result<Vec<Section>, Problem> {
    let mut sections: Vec<Section> = Vec::new();
    for (file, input) in inputs.iter().enumerate() {
        for (i, text) in input.text()?.lines().enumerate() {
            let place = Place { file, line: u32::try_from(i + 1).unwrap_or(u32::MAX), column: 1 };
            let (words, end) = split(text).map_err(|(column, message)| {
                let column = u32::try_from(column + 1).unwrap_or(u32::MAX);
                Problem::new(inputs, Place { column, ..place }, message)
            })?;
            let Some(first) = words.first().cloned() else { continue };
            let shown = text.get(..end).unwrap_or(text).trim().to_owned();
            let column = u32::try_from(text.len() - text.trim_start().len() + 1).unwrap_or(u32::MAX);
            let line = Line { place: Place { column, ..place }, words, text: shown };
            if SECTIONS.contains(&first.as_str()) {
                let name = line.word(1).to_owned();
                sections.push(Section { kind: first, name, head: Some(line), lines: Vec::new() });
            } else if let Some(section) = sections.last_mut() {
                section.lines.push(line);
            } else {
                // A piece of a file, as documents show it: a service without its first line.
                let kind = "backend".to_owned();
                sections.push(Section { kind, name: "main".to_owned(), head: None, lines: vec![line] });
            }
        }
    }
    Ok(sections)
}

/// The words of a line and where its comment begins.
fn split(text: &str) -> Result<(Vec<String>, usize), (usize, &'static str)> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '#' => {
                words.extend(word);
                return Ok((words, at));
            }
            ' ' | '\t' | '\r' => words.extend(word.take()),
            '\\' => {
                let escaped = chars.next().ok_or((at, "a backslash at the end of a line"))?.1;
                let word = word.get_or_insert_default();
                match escaped {
                    ' ' | '#' | '\\' | '"' | '\'' => word.push(escaped),
                    'n' => word.push('\n'),
                    'r' => word.push('\r'),
                    't' => word.push('\t'),
                    // In regular expressions: the backslash stays.
                    other => word.extend(['\\', other]),
                }
            }
            '"' | '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    let (_, inner) = chars.next().ok_or((at, "this quote has no end"))?;
                    match inner {
                        _ if inner == c => break,
                        '\\' if c == '"' => {
                            let escaped = chars.next().ok_or((at, "this quote has no end"))?.1;
                            if !matches!(escaped, '"' | '\\' | ' ' | '#' | '$') {
                                word.push('\\');
                            }
                            word.push(escaped);
                        }
                        other => word.push(other),
                    }
                }
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok((words, text.len()))
}
