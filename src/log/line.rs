//! The form of an error-log line.

use std::fmt::{self, Write};

use crate::diag::Severity;
use crate::sys;
use crate::values::Civil;

/// nginx cuts a line here, its end included.
const LONGEST: usize = 2048;

/// `YYYY/MM/DD HH:MM:SS [level] PID#TID: *CONNECTION text` with its newline; the second value is where
/// `text` begins.
pub(super) fn error_line(
    severity: Severity,
    connection: Option<u64>,
    text: fmt::Arguments<'_>,
) -> (Vec<u8>, usize) {
    let (seconds, _) = sys::now();
    let c = Civil::from_unix(seconds + i64::from(sys::utc_offset_minutes(seconds)) * 60);
    let mut line = String::with_capacity(256);
    let _ = write!(
        line,
        "{:04}/{:02}/{:02} {:02}:{:02}:{:02} [{}] {}#{}: ",
        c.year,
        c.month,
        c.day,
        c.hour,
        c.minute,
        c.second,
        severity.word(),
        sys::pid(),
        sys::thread_id()
    );
    if let Some(n) = connection {
        let _ = write!(line, "*{n} ");
    }
    let start = line.len();
    let _ = line.write_fmt(text);
    let mut line = line.into_bytes();
    line.truncate(LONGEST - 1);
    line.push(b'\n');
    (line, start)
}
