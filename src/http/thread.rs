//! What the requests of one thread share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Checks, Event, Request, SubRunner};
use crate::diag::Severity;
use crate::limit;
use crate::log::{AccessFiles, Logs};
use crate::rt::clock;
use crate::values;

/// Counters of the process, as `stub_status` shows them.
#[derive(Debug, Default)]
pub struct Stats {
    pub accepted: AtomicU64,
    pub handled: AtomicU64,
    pub requests: AtomicU64,
    pub active: AtomicU64,
    pub reading: AtomicU64,
    pub writing: AtomicU64,
    pub waiting: AtomicU64,
}

/// The next connection's number, for `$connection` and error logs; shared by the threads of a process.
#[derive(Debug, Default)]
pub struct Serial(AtomicU64);

impl Serial {
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The date as it was written last.
#[derive(Debug, Default)]
struct DateCache {
    second: u64,
    text: Vec<u8>,
}

/// One a thread.
pub struct ThreadState {
    pub logs: Arc<Logs>,
    pub access: RefCell<AccessFiles>,
    pub stats: Arc<Stats>,
    /// For `check_status`.
    pub checks: Checks,
    /// The counters of the plan's zones.
    pub limits: limit::Zones,
    pub hostname: Box<str>,
    pub pid: u32,
    /// Minutes that local time is ahead of UTC.
    pub gmt_offset: Cell<i32>,
    /// The process is going: idle connections are closed, busy ones after their answer.
    draining: Cell<bool>,
    drain: tokio::sync::Notify,
    sub: RefCell<Option<Rc<SubRunner>>>,
    date: RefCell<DateCache>,
    scratch: RefCell<Vec<Vec<u8>>>,
}

impl ThreadState {
    pub fn new(logs: Arc<Logs>, stats: Arc<Stats>, checks: Checks, limits: limit::Zones) -> Self {
        Self {
            access: RefCell::new(AccessFiles::new(logs.clone())),
            logs,
            stats,
            checks,
            limits,
            hostname: crate::sys::hostname().to_ascii_lowercase().into(),
            pid: std::process::id(),
            gmt_offset: Cell::new(crate::sys::utc_offset_minutes(unix_now())),
            draining: Cell::new(false),
            drain: tokio::sync::Notify::new(),
            sub: RefCell::default(),
            date: RefCell::default(),
            scratch: RefCell::default(),
        }
    }

    /// Says who carries subrequests through.
    pub fn set_subrequests(&self, run: Rc<SubRunner>) {
        *self.sub.borrow_mut() = Some(run);
    }

    pub(super) fn subrequests(&self) -> Option<Rc<SubRunner>> {
        self.sub.borrow().clone()
    }

    pub fn draining(&self) -> bool {
        self.draining.get()
    }

    /// Begins the end: see `draining`.
    pub fn start_drain(&self) {
        self.draining.set(true);
        self.drain.notify_waiters();
    }

    /// Ready when the thread drains.
    pub async fn drained(&self) {
        let notified = self.drain.notified();
        if !self.draining.get() {
            notified.await;
        }
    }

    /// Appends `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn push_date(&self, out: &mut Vec<u8>) {
        let second = clock::unix_secs();
        let mut cache = self.date.borrow_mut();
        if cache.second != second || cache.text.is_empty() {
            cache.second = second;
            self.gmt_offset.set(crate::sys::utc_offset_minutes(unix_now()));
            cache.text.clear();
            values::push_http_date(&mut cache.text, unix_now());
        }
        out.extend_from_slice(&cache.text);
    }

    /// Lends an empty buffer; what is made in it is gone afterwards, its memory is kept.
    pub fn scratch<T>(&self, f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut buffer = self.scratch.borrow_mut().pop().unwrap_or_default();
        buffer.clear();
        let result = f(&mut buffer);
        if buffer.capacity() <= 64 * 1024 {
            self.scratch.borrow_mut().push(buffer);
        }
        result
    }

    /// Writes an error-log line about a request: the text, then who asked for what.
    pub fn log_error(&self, req: &Request, level: Severity, text: std::fmt::Arguments<'_>) {
        self.log_error_upstream(req, level, text, None);
    }

    /// … and the peer's URL that it concerns.
    pub fn log_error_upstream(
        &self,
        req: &Request,
        level: Severity,
        text: std::fmt::Arguments<'_>,
        upstream: Option<&[u8]>,
    ) {
        if req.trace.is_some() {
            return req.note(|| Event::Log { level, text: text.to_string() });
        }
        let logs = &req.location().error_logs;
        if self.logs.wants(logs, level) {
            let tail = super::context::Tail { req, upstream };
            self.logs.error(logs, level, Some(req.conn.number), format_args!("{text}{tail}"));
        }
    }
}

impl std::fmt::Debug for ThreadState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ThreadState").field("draining", &self.draining).finish_non_exhaustive()
    }
}

fn unix_now() -> i64 {
    i64::try_from(clock::unix_secs()).unwrap_or(0)
}
