//! Access logs as one thread writes them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::diag::Severity;
use crate::plan::LogFileId;
use crate::sys;

use super::Logs;

/// A thread's access logs. Without `buffer=` every line is a write of its own; with it lines wait in a buffer of this
/// thread until it is full, or as old as `flush=` says.
#[derive(Debug)]
pub struct AccessFiles {
    logs: Arc<Logs>,
    buffers: Vec<Buffer>,
}

#[derive(Debug, Default)]
struct Buffer {
    lines: Vec<u8>,
    size: usize,
    flush: Option<Duration>,
    /// When the oldest line in the buffer came.
    since: Option<Instant>,
}

impl AccessFiles {
    pub fn new(logs: Arc<Logs>) -> Self {
        let buffers = logs
            .access
            .iter()
            .map(|a| Buffer { size: a.buffer, flush: a.flush, ..Buffer::default() })
            .collect();
        Self { logs, buffers }
    }

    /// Writes a line, which ends in a newline.
    pub fn write(&mut self, file: LogFileId, line: &[u8]) {
        let Some(buffer) = self.buffers.get_mut(file.ix()) else { return };
        if buffer.size == 0 {
            return self.logs.write_access(file, line);
        }
        if buffer.lines.len() + line.len() > buffer.size {
            buffer.write(&self.logs, file);
        }
        if line.len() > buffer.size {
            return self.logs.write_access(file, line);
        }
        if buffer.lines.is_empty() && buffer.flush.is_some() {
            buffer.since = Some(Instant::now());
        }
        buffer.lines.extend_from_slice(line);
    }

    /// Writes a line to an access log whose path has variables: opened and closed for each line.
    pub fn write_to(&self, path: &Path, line: &[u8]) {
        use std::os::fd::AsFd;
        let done = sys::open_append(path).and_then(|f| sys::write_all_or_part(f.as_fd(), line));
        if let Err(error) = done {
            let text = sys::err_text(&error);
            self.logs.main(Severity::Crit, format_args!("open() \"{}\" failed ({text})", path.display()));
        }
    }

    /// Writes the buffers whose oldest line has waited as long as `flush=` allows.
    pub fn flush_due(&mut self, now: Instant) {
        for (i, buffer) in (0..).zip(&mut self.buffers) {
            if let (Some(since), Some(flush)) = (buffer.since, buffer.flush)
                && now.saturating_duration_since(since) >= flush
            {
                buffer.write(&self.logs, LogFileId(i));
            }
        }
    }

    /// Writes every buffer.
    pub fn flush(&mut self) {
        for (i, buffer) in (0..).zip(&mut self.buffers) {
            buffer.write(&self.logs, LogFileId(i));
        }
    }

    /// The shortest `flush=`; `None`: nothing waits for a time.
    pub fn shortest_flush(&self) -> Option<Duration> {
        self.buffers.iter().filter_map(|b| b.flush).min()
    }
}

impl Drop for AccessFiles {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Buffer {
    fn write(&mut self, logs: &Logs, file: LogFileId) {
        if !self.lines.is_empty() {
            logs.write_access(file, &self.lines);
            self.lines.clear();
        }
        self.since = None;
    }
}
