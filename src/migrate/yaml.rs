//! YAML as the same tree that JSON is: every value knows where it stands, a key that comes twice is an error.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::input::{Input, Place, Problem};
use super::json::{Node, Value};

/// Lists and maps inside each other.
const DEEPEST: usize = 64;

/// Values of one input, those that aliases repeat counted each time.
const MOST: usize = 200_000;

/// Every document of an input; ids start at `first`.
pub(super) fn parse(inputs: &[Input], file: usize, first: u32) -> Result<Vec<Node>, Problem> {
    let Some(input) = inputs.get(file) else {
        return Err(Problem::new(inputs, Place { file, line: 1, column: 1 }, "no such input"));
    };
    let text = input.text()?;
    // A parser's own limit would not be ours: what is deeper is refused before it is read.
    let mut builder =
        Builder { file, next: first, open: Vec::new(), anchors: BTreeMap::new(), done: Vec::new(), count: 0 };
    for step in Parser::new_from_str(text) {
        let result = match step {
            Ok((event, span)) => builder.event(event, span),
            Err(e) => {
                let mark = *e.marker();
                let place = place(file, mark.line(), mark.col());
                return Err(Problem::new(inputs, place, e.info().to_owned()));
            }
        };
        result.map_err(|(place, why)| Problem::new(inputs, place, why))?;
    }
    Ok(builder.done)
}

fn place(file: usize, line: usize, column: usize) -> Place {
    let fit = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { file, line: fit(line.max(1)), column: fit(column + 1) }
}

/// A list or map whose end has not come.
struct Open {
    node: Node,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<String>,
}

struct Builder {
    file: usize,
    next: u32,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    done: Vec<Node>,
    count: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), (Place, String)> {
        let at = place(self.file, span.start.line(), span.start.col());
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let value = if plain { scalar(&text) } else { Value::Text(text.into_owned()) };
                let node = self.node(at, value)?;
                self.put(node, anchor)
            }
            Event::SequenceStart(anchor, _) => self.start(at, anchor, Value::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.start(at, anchor, Value::Map(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                self.put(open.node, open.anchor)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err((at, "this alias stands inside what it names".to_owned()));
                };
                self.count += size(&node);
                if self.count > MOST {
                    return Err((at, format!("more than {MOST} values, aliases counted")));
                }
                self.put(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn node(&mut self, place: Place, value: Value) -> Result<Node, (Place, String)> {
        self.count += 1;
        if self.count > MOST {
            return Err((place, format!("more than {MOST} values")));
        }
        let id = self.next;
        self.next += 1;
        Ok(Node { id, place, value })
    }

    fn start(&mut self, at: Place, anchor: usize, value: Value) -> Result<(), (Place, String)> {
        if self.open.len() >= DEEPEST {
            return Err((at, format!("more than {DEEPEST} lists and maps inside each other")));
        }
        let node = self.node(at, value)?;
        self.open.push(Open { node, anchor, key: None });
        Ok(())
    }

    /// A value that is whole goes where it belongs.
    fn put(&mut self, node: Node, anchor: usize) -> Result<(), (Place, String)> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.done.push(node);
            return Ok(());
        };
        match &mut open.node.value {
            Value::List(items) => items.push(node),
            Value::Map(fields) => match open.key.take() {
                Some(key) => fields.push((key, node)),
                None => {
                    let key = match node.value {
                        Value::Text(text) | Value::Number(text) => text,
                        Value::Bool(b) => b.to_string(),
                        Value::Null => "null".to_owned(),
                        _ => return Err((node.place, "a key is a text".to_owned())),
                    };
                    if key == "<<" {
                        return Err((
                            node.place,
                            "maps that are merged into others are not read: write them out".to_owned(),
                        ));
                    }
                    if fields.iter().any(|(k, _)| *k == key) {
                        return Err((node.place, format!("the key \"{key}\" comes a second time")));
                    }
                    open.key = Some(key);
                }
            },
            _ => {}
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    1 + node.items().iter().chain(node.fields().iter().map(|(_, n)| n)).map(size).sum::<usize>()
}

/// A plain scalar by the core schema.
fn scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if text.parse::<i64>().is_ok() && !text.starts_with('+') => Value::Number(text.to_owned()),
        _ => Value::Text(text.to_owned()),
    }
}
