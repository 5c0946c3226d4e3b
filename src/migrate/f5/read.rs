//! F5's file: objects with entries inside braces, and lines of tmsh that make the same objects.

use super::super::input::{Input, Place, Problem};

/// Braces inside each other.
const DEEPEST: usize = 64;

/// `key value`, `key { … }`, or a word alone.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) key: String,
    pub(super) value: Option<String>,
    pub(super) inside: Vec<Entry>,
}

/// `ltm pool NAME { … }`
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) place: Place,
    /// `ltm pool`, `ltm persistence cookie`, …
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) entries: Vec<Entry>,
    /// The text of an iRule.
    pub(super) script: Option<String>,
}

impl Object {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|e| e.key == key)
    }
}

impl Entry {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.inside.iter().rev().find(|e| e.key == key)
    }

    pub(super) fn text(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Open,
    Close,
    End,
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    start: usize,
    file: usize,
}

type Step<T> = Result<T, (Place, String)>;

/// Every object of every input.
pub(super) fn read(inputs: &[Input]) -> Result<Vec<Object>, Problem> {
    let mut out = Vec::new();
    for (file, input) in inputs.iter().enumerate() {
        let text = input.text()?.as_bytes();
        let mut reader = Reader { text, at: 0, line: 1, start: 0, file };
        let done = reader.objects(&mut out);
        done.map_err(|(place, why)| Problem::new(inputs, place, why))?;
    }
    Ok(out)
}

/// Keys that stand alone.
const FLAGS: &[&str] = &[
    "disabled",
    "enabled",
    "internal",
    "ip-forward",
    "l2-forward",
    "reject",
    "stateless",
    "vlans-disabled",
    "vlans-enabled",
];

impl Reader<'_> {
    fn place(&self) -> Place {
        let column = u32::try_from(self.at.saturating_sub(self.start) + 1).unwrap_or(u32::MAX);
        Place { file: self.file, line: self.line, column }
    }

    fn step(&mut self) -> Option<u8> {
        let b = self.text.get(self.at).copied()?;
        self.at += 1;
        if b == b'\n' {
            self.line += 1;
            self.start = self.at;
        }
        Some(b)
    }

    /// Blanks; line ends too when `lines`. A `#` where a word could begin is a comment.
    fn space(&mut self, lines: bool) {
        while let Some(b) = self.text.get(self.at).copied() {
            match b {
                b' ' | b'\t' | b'\r' => {}
                b'\n' if lines => {}
                b'\\' if self.text.get(self.at + 1) == Some(&b'\n') => {
                    self.step();
                }
                b'#' => {
                    while self.text.get(self.at).is_some_and(|b| *b != b'\n') {
                        self.at += 1;
                    }
                    continue;
                }
                _ => return,
            }
            self.step();
        }
    }

    /// The next token of the line; `End` at its end.
    fn token(&mut self) -> Step<Token> {
        self.space(false);
        let place = self.place();
        match self.text.get(self.at).copied() {
            None | Some(b'\n') => Ok(Token::End),
            Some(b'{') => {
                self.at += 1;
                Ok(Token::Open)
            }
            Some(b'}') => {
                self.at += 1;
                Ok(Token::Close)
            }
            Some(b'"') => {
                self.at += 1;
                let mut out = Vec::new();
                loop {
                    match self.step() {
                        Some(b'"') => return Ok(Token::Word(String::from_utf8_lossy(&out).into_owned())),
                        Some(b'\\') => match self.step() {
                            Some(b @ (b'"' | b'\\')) => out.push(b),
                            Some(b) => out.extend([b'\\', b]),
                            None => return Err((place, "this text has no end".to_owned())),
                        },
                        Some(b) => out.push(b),
                        None => return Err((place, "this text has no end".to_owned())),
                    }
                }
            }
            Some(_) => {
                let from = self.at;
                while self.text.get(self.at).is_some_and(|b| !b" \t\r\n{}".contains(b)) {
                    self.at += 1;
                }
                let word = self.text.get(from..self.at).unwrap_or_default();
                Ok(Token::Word(String::from_utf8_lossy(word).into_owned()))
            }
        }
    }

    fn peek(&mut self) -> Step<Token> {
        let (at, line, start) = (self.at, self.line, self.start);
        let token = self.token();
        (self.at, self.line, self.start) = (at, line, start);
        token
    }

    fn objects(&mut self, out: &mut Vec<Object>) -> Step<()> {
        loop {
            self.space(true);
            let place = self.place();
            if self.at >= self.text.len() {
                return Ok(());
            }
            let mut words = Vec::new();
            // `tmsh create ltm …`, `ltm …`
            while let Token::Word(word) = self.peek()? {
                if words.is_empty() && matches!(word.as_str(), "tmsh" | "create" | "modify") {
                    self.token()?;
                    continue;
                }
                words.push(word);
                self.token()?;
                if words.len() >= heading(&words) {
                    break;
                }
            }
            if words.is_empty() {
                return Err((place, "the name of an object is expected here".to_owned()));
            }
            let name = if words.len() > 1 { words.pop().unwrap_or_default() } else { String::new() };
            let kind = words.join(" ");
            let mut object = Object { place, kind, name, entries: Vec::new(), script: None };
            let open = self.peek()? == Token::Open;
            if open && object.kind == "ltm rule" {
                self.token()?;
                object.script = Some(self.script(place)?);
            } else if open {
                self.token()?;
                object.entries = self.block(place, 0)?;
            } else {
                object.entries = self.line(0)?;
            }
            out.push(object);
            if self.peek()? == Token::Close {
                return Err((self.place(), "a brace too many".to_owned()));
            }
        }
    }

    /// The rest of a line as entries.
    fn line(&mut self, depth: usize) -> Step<Vec<Entry>> {
        let mut out = Vec::new();
        while !matches!(self.peek()?, Token::End | Token::Close) {
            out.push(self.entry(depth)?);
        }
        Ok(out)
    }

    /// Entries up to the closing brace.
    fn block(&mut self, open: Place, depth: usize) -> Step<Vec<Entry>> {
        if depth > DEEPEST {
            return Err((open, format!("more than {DEEPEST} braces inside each other")));
        }
        let mut out = Vec::new();
        loop {
            self.space(true);
            if self.at >= self.text.len() {
                return Err((open, "the brace that opens here is not closed".to_owned()));
            }
            if self.peek()? == Token::Close {
                self.token()?;
                return Ok(out);
            }
            out.push(self.entry(depth)?);
        }
    }

    fn entry(&mut self, depth: usize) -> Step<Entry> {
        self.space(false);
        let place = self.place();
        let key = match self.token()? {
            Token::Word(word) => word,
            Token::Open => {
                let inside = self.block(place, depth + 1)?;
                return Ok(Entry { place, key: String::new(), value: None, inside });
            }
            Token::Close | Token::End => return Err((place, "a word is expected here".to_owned())),
        };
        let mut entry = Entry { place, key, value: None, inside: Vec::new() };
        let mut next = self.peek()?;
        // `members add { … }`
        if matches!(&next, Token::Word(w) if matches!(w.as_str(), "add" | "replace-all-with")) {
            self.token()?;
            next = self.peek()?;
        }
        match next {
            Token::Open => {
                self.token()?;
                entry.inside = self.block(place, depth + 1)?;
            }
            Token::Word(word) if !FLAGS.contains(&entry.key.as_str()) => {
                self.token()?;
                let mut value = word;
                // `monitor a and b`, `monitor min 1 of { a b }`
                while entry.key == "monitor" {
                    match self.peek()? {
                        Token::Word(w)
                            if w == "and" || value.ends_with(" and") || value.starts_with("min") =>
                        {
                            self.token()?;
                            value.push(' ');
                            value.push_str(&w);
                        }
                        Token::Open if value.starts_with("min") => {
                            self.token()?;
                            entry.inside = self.block(place, depth + 1)?;
                        }
                        _ => break,
                    }
                }
                if self.peek()? == Token::Open {
                    self.token()?;
                    entry.inside = self.block(place, depth + 1)?;
                }
                entry.value = Some(value);
            }
            _ => {}
        }
        Ok(entry)
    }

    /// The text of an iRule up to the brace that closes it.
    fn script(&mut self, open: Place) -> Step<String> {
        let from = self.at;
        let mut depth = 0usize;
        loop {
            match self.step() {
                None => return Err((open, "the brace that opens here is not closed".to_owned())),
                Some(b'\\') => {
                    self.step();
                }
                Some(b'{') => depth += 1,
                Some(b'}') if depth == 0 => {
                    let text = self.text.get(from..self.at - 1).unwrap_or_default();
                    return Ok(String::from_utf8_lossy(text).into_owned());
                }
                Some(b'}') => depth -= 1,
                Some(_) => {}
            }
        }
    }
}

/// How many words name an object: `ltm pool NAME`, `ltm persistence cookie NAME`.
fn heading(words: &[String]) -> usize {
    let word = |i: usize| words.get(i).map_or("", String::as_str);
    match (word(0), word(1)) {
        ("ltm", "pool" | "virtual" | "node" | "rule" | "policy" | "snatpool" | "virtual-address") => 3,
        ("ltm", "persistence" | "monitor" | "profile" | "data-group") => 4,
        _ => usize::MAX,
    }
}
