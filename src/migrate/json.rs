//! JSON whose every value knows where it stands, and where a key that comes twice is an error.

use super::input::{Input, Place, Problem};

/// Lists and maps inside each other.
const DEEPEST: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Its number in the document; numbers follow the text.
    pub(super) id: u32,
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.fields().iter().find(|(k, _)| k == key).map(|(_, n)| n)
    }

    /// The fields of a map; none of anything else.
    pub(super) fn fields(&self) -> &[(String, Node)] {
        if let Value::Map(fields) = &self.value { fields } else { &[] }
    }

    /// The highest number in it.
    pub(super) fn last_id(&self) -> u32 {
        let inside = self.items().iter().chain(self.fields().iter().map(|(_, n)| n));
        inside.map(Node::last_id).max().unwrap_or(self.id)
    }

    /// The items of a list; none of anything else.
    pub(super) fn items(&self) -> &[Node] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }
}

/// Reads the input with the number `file`; ids start at `first`.
pub(super) fn parse(inputs: &[Input], file: usize, first: u32) -> Result<Node, Problem> {
    let Some(input) = inputs.get(file) else {
        return Err(Problem::new(inputs, Place { file, line: 1, column: 1 }, "no such input"));
    };
    let mut reader = Reader { text: input.text()?.as_bytes(), at: 0, line: 1, start: 0, file, next: first };
    let read = reader.document();
    read.map_err(|message| Problem::new(inputs, reader.place(), message))
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    /// Where the line begins.
    start: usize,
    file: usize,
    next: u32,
}

impl Reader<'_> {
    fn place(&self) -> Place {
        let column = u32::try_from(self.at.saturating_sub(self.start) + 1).unwrap_or(u32::MAX);
        Place { file: self.file, line: self.line, column }
    }

    fn document(&mut self) -> Result<Node, String> {
        let node = self.value(0)?;
        self.space();
        match self.text.get(self.at) {
            None => Ok(node),
            Some(_) => Err("text after the end of the document".to_owned()),
        }
    }

    fn space(&mut self) {
        while let Some(b @ (b' ' | b'\t' | b'\r' | b'\n')) = self.text.get(self.at) {
            self.at += 1;
            if *b == b'\n' {
                self.line += 1;
                self.start = self.at;
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, String> {
        self.space();
        if depth > DEEPEST {
            return Err(format!("more than {DEEPEST} lists and maps inside each other"));
        }
        let (id, place) = (self.next, self.place());
        self.next += 1;
        let value = match self.text.get(self.at) {
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Text(self.text_value()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            Some(_) => return Err("a value is expected here".to_owned()),
            None => return Err("the text ends where a value is expected".to_owned()),
        };
        Ok(Node { id, place, value })
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, String> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err("a value is expected here".to_owned());
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<String, String> {
        let from = self.at;
        while matches!(self.text.get(self.at), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        let text = self.text.get(from..self.at).unwrap_or_default();
        let text = String::from_utf8_lossy(text).into_owned();
        if serde_json::from_str::<serde_json::Number>(&text).is_err() {
            self.at = from;
            return Err(format!("\"{text}\" is no number"));
        }
        Ok(text)
    }

    /// A string; the escapes are serde's work.
    fn text_value(&mut self) -> Result<String, String> {
        let from = self.at;
        let mut at = from + 1;
        loop {
            match self.text.get(at) {
                Some(b'"') => break,
                Some(b'\\') => at += 2,
                Some(b'\n') | None => return Err("this text has no end".to_owned()),
                Some(_) => at += 1,
            }
        }
        let raw = self.text.get(from..=at).unwrap_or_default();
        let text = serde_json::from_slice(raw).map_err(|e| format!("not a text: {e}"))?;
        self.at = at + 1;
        Ok(text)
    }

    fn list(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.take(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.take(b']') {
                return Ok(Value::List(items));
            }
            if !self.take(b',') {
                return Err("a comma or ']' is expected here".to_owned());
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut fields: Vec<(String, Node)> = Vec::new();
        self.space();
        if self.take(b'}') {
            return Ok(Value::Map(fields));
        }
        loop {
            self.space();
            if self.text.get(self.at) != Some(&b'"') {
                return Err("a key is expected here".to_owned());
            }
            let before = self.at;
            let key = self.text_value()?;
            if fields.iter().any(|(k, _)| *k == key) {
                self.at = before;
                return Err(format!("the key \"{key}\" comes a second time"));
            }
            self.space();
            if !self.take(b':') {
                return Err("a colon is expected here".to_owned());
            }
            fields.push((key, self.value(depth + 1)?));
            self.space();
            if self.take(b'}') {
                return Ok(Value::Map(fields));
            }
            if !self.take(b',') {
                return Err("a comma or '}' is expected here".to_owned());
            }
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let is = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(is);
        is
    }
}
