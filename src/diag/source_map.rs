//! Files, spans and lines.

use std::sync::Arc;

/// A file of the configuration, by its place in the [`SourceMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// A range of bytes in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(file: FileId, start: u32, end: u32) -> Self {
        Self { file, start, end }
    }
}

/// One file as read, or a text given on the command line.
#[derive(Debug)]
pub struct SourceFile {
    /// As nginx prints it: the full path after prefix and include were applied, or `command line`.
    pub name: String,
    pub text: Arc<[u8]>,
    /// The `include` that brought the file in.
    pub included_at: Option<Span>,
    line_starts: Vec<u32>,
    command_line: bool,
}

impl SourceFile {
    /// Whether this is the text of `-g`, which has no lines to name.
    pub fn is_command_line(&self) -> bool {
        self.command_line
    }

    /// The line (from 1) and the column in bytes (from 1) of a byte offset.
    pub fn line_col(&self, offset: u32) -> (u32, u32) {
        let line = self.line_starts.partition_point(|&s| s <= offset).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        (line as u32, offset - start + 1)
    }

    /// The bytes of a line (from 1), without its end.
    pub fn line(&self, line: u32) -> &[u8] {
        let i = (line.max(1) - 1) as usize;
        let start = self.line_starts.get(i).copied().unwrap_or(0) as usize;
        let end = self.line_starts.get(i + 1).map_or(self.text.len(), |&e| e as usize);
        let bytes = self.text.get(start..end).unwrap_or_default();
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        bytes.strip_suffix(b"\r").unwrap_or(bytes)
    }
}

/// Every file that a run has read.
#[derive(Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add(&mut self, name: String, text: Arc<[u8]>, included_at: Option<Span>) -> FileId {
        debug_assert!(
            u32::try_from(text.len()).is_ok(),
            "whoever reads files refuses those that offsets cannot reach"
        );
        let mut line_starts = vec![0];
        line_starts.extend(memchr::memchr_iter(b'\n', &text).map(|i| i as u32 + 1));
        self.files.push(SourceFile { name, text, included_at, line_starts, command_line: false });
        FileId(self.files.len() as u32 - 1)
    }

    /// The text of `-g`.
    pub fn add_command_line(&mut self, text: &str) -> FileId {
        let id = self.add("command line".to_string(), text.as_bytes().into(), None);
        if let Some(file) = self.files.last_mut() {
            file.command_line = true;
        }
        id
    }

    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    pub fn files(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files.iter().enumerate().map(|(i, f)| (FileId(i as u32), f))
    }

    pub fn text(&self, span: Span) -> &[u8] {
        self.file(span.file).text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}
