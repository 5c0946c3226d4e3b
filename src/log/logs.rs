//! Every log that is open, and the writing of error lines.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::diag::Severity;
use crate::plan::{ErrorLog, LogFileId, LogTarget, Plan};
use crate::sys;

use super::line::error_line;
use super::sink::{Sink, WriteError};

/// A log file that could not be opened.
#[derive(Debug)]
pub struct OpenError {
    pub path: PathBuf,
    pub error: io::Error,
}

impl fmt::Display for OpenError {
    /// nginx's words: `open() "PATH" failed (2: …)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "open() \"{}\" failed ({})", self.path.display(), sys::err_text(&self.error))
    }
}

/// The open logs of a configuration; all threads of a worker share one value.
#[derive(Debug)]
pub struct Logs {
    sinks: Vec<Sink>,
    /// `error_log` of the main context, or what stands in for it.
    main: Vec<ErrorLog>,
    /// The sink and the buffer (`buffer=`, `flush=`) of each access-log file.
    pub(super) access: Vec<AccessSink>,
    /// While a program starts, what is a warning or worse also goes to the standard error, as `nginx: [level] text`.
    console: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct AccessSink {
    sink: usize,
    pub(super) buffer: usize,
    pub(super) flush: Option<std::time::Duration>,
}

impl Logs {
    /// The log that is there before a configuration is read: `path`, or the standard error.
    pub fn builtin(path: Option<&Path>, level: Severity) -> Result<Self, OpenError> {
        let target = path.map_or(LogTarget::Stderr, |p| LogTarget::File(p.to_path_buf()));
        let main = vec![ErrorLog { target, level }];
        Self::of(main)
    }

    /// No log at all: what is a warning or worse goes to the standard error, as nginx's program lines.
    pub fn console_alone() -> Self {
        let console = AtomicBool::new(true);
        Self { sinks: Vec::new(), main: Vec::new(), access: Vec::new(), console }
    }

    /// No log at all.
    pub fn nowhere() -> Self {
        Self { sinks: Vec::new(), main: Vec::new(), access: Vec::new(), console: AtomicBool::new(false) }
    }

    /// Opens every log of `plan`. `default` (`None`: the standard error) is the error log of a configuration that names
    /// no file for one.
    pub fn open(plan: &Plan, default: Option<&Path>) -> Result<Self, OpenError> {
        let mut main = plan.process.error_logs.clone();
        if !main.iter().any(|l| matches!(l.target, LogTarget::File(_) | LogTarget::Stderr)) {
            let target = default.map_or(LogTarget::Stderr, |p| LogTarget::File(p.to_path_buf()));
            main.push(ErrorLog { target, level: Severity::Error });
        }
        let mut logs = Self { sinks: Vec::new(), main, access: Vec::new(), console: AtomicBool::new(false) };
        // nginx opens files in the order in which it reads of them.
        for path in &plan.log_order {
            logs.sink(&LogTarget::File(path.clone()))?;
        }
        logs.open_main()?;
        for location in &plan.locations {
            for log in &location.error_logs {
                logs.sink(&log.target)?;
            }
        }
        for file in &plan.log_files {
            let sink = logs.sink(&file.target)?;
            logs.access.push(AccessSink { sink, buffer: file.buffer.unwrap_or(0), flush: file.flush });
        }
        Ok(logs)
    }

    fn of(main: Vec<ErrorLog>) -> Result<Self, OpenError> {
        let mut logs = Self { sinks: Vec::new(), main, access: Vec::new(), console: AtomicBool::new(false) };
        logs.open_main()?;
        Ok(logs)
    }

    fn open_main(&mut self) -> Result<(), OpenError> {
        for target in self.main.iter().map(|l| l.target.clone()).collect::<Vec<_>>() {
            self.sink(&target)?;
        }
        Ok(())
    }

    /// The index of the sink for `target`, opened when it is new.
    fn sink(&mut self, target: &LogTarget) -> Result<usize, OpenError> {
        if let Some(i) = self.sinks.iter().position(|s| s.target == *target) {
            return Ok(i);
        }
        self.sinks.push(Sink::open(target).map_err(|(path, error)| OpenError { path, error })?);
        Ok(self.sinks.len() - 1)
    }

    /// Whether a line of this severity is written anywhere: what is asked before an expensive text is made. `to`: the
    /// `error_log`s that hold at the place; empty: the main ones.
    pub fn wants(&self, to: &[ErrorLog], severity: Severity) -> bool {
        let to = if to.is_empty() { &self.main } else { to };
        to.iter().any(|l| severity <= l.level) || self.on_console(severity)
    }

    /// Writes a line to those of `to` (empty: the main ones) whose level it reaches.
    pub fn error(
        &self,
        to: &[ErrorLog],
        severity: Severity,
        connection: Option<u64>,
        text: fmt::Arguments<'_>,
    ) {
        if !self.wants(to, severity) {
            return;
        }
        let to = if to.is_empty() { &self.main } else { to };
        let (line, start) = error_line(severity, connection, text);
        let mut console = self.on_console(severity);
        for log in to.iter().filter(|l| severity <= l.level) {
            let Some(sink) = self.sinks.iter().find(|s| s.target == log.target) else { continue };
            match sink.syslog() {
                Some(syslog) => syslog.send(Some(severity), &line),
                // A log that cannot be written has nowhere to say so.
                None => drop(sink.write(&line)),
            }
            console &= !sink.is_stderr();
        }
        if console {
            let mut short = format!("nginx: [{}] ", severity.word()).into_bytes();
            short.extend_from_slice(line.get(start..).unwrap_or_default());
            sys::write_stderr(&short);
        }
    }

    /// Writes a line to the main error logs.
    pub fn main(&self, severity: Severity, text: fmt::Arguments<'_>) {
        self.error(&[], severity, None, text);
    }

    /// One or more whole lines for an access log's file. A failure is reported once a minute.
    pub(super) fn write_access(&self, file: LogFileId, lines: &[u8]) {
        let Some(sink) = self.access.get(file.ix()).and_then(|a| self.sinks.get(a.sink)) else { return };
        match sink.syslog() {
            Some(syslog) => syslog.send(None, lines),
            None => self.report(sink, lines.len(), sink.write(lines)),
        }
    }

    fn report(&self, sink: &Sink, length: usize, done: Result<(), WriteError>) {
        let Err(error) = done else { return };
        if !sink.may_report() {
            return;
        }
        let name = sink.path().unwrap_or(Path::new("stderr")).display();
        match error {
            WriteError::Failed(e) => self
                .main(Severity::Alert, format_args!("write() to \"{name}\" failed ({})", sys::err_text(&e))),
            WriteError::Short { written } => self.main(
                Severity::Alert,
                format_args!("write() to \"{name}\" was incomplete: {written} of {length}"),
            ),
        }
    }

    /// Opens every file again by its path: what USR1 asks for. `owner`: whom the files shall belong to. A file that
    /// cannot be opened stays as it was, and the error log says so.
    pub fn reopen(&self, owner: Option<u32>) {
        for sink in &self.sinks {
            if let Err(why) = sink.reopen(owner) {
                self.main(Severity::Emerg, format_args!("{why}"));
            }
        }
    }

    /// Whether warnings and worse go to the standard error as well.
    pub fn console(&self, on: bool) {
        self.console.store(on, Ordering::Relaxed);
    }

    pub fn has_console(&self) -> bool {
        self.console.load(Ordering::Relaxed)
    }

    fn on_console(&self, severity: Severity) -> bool {
        severity <= Severity::Warn && self.has_console()
    }

    /// Sends what this process writes to its standard error into the first main error log that is a file, as nginx
    /// does once it runs; not when a log, be it that of a location, is the standard error itself.
    pub fn redirect_stderr(&self) -> io::Result<()> {
        let main = |s: &&Sink| self.main.iter().any(|l| l.target == s.target);
        if self.sinks.iter().any(Sink::is_stderr) {
            return Ok(());
        }
        self.sinks.iter().filter(main).find(|s| s.path().is_some()).map_or(Ok(()), Sink::take_stderr)
    }

    /// Where the main error log goes, for a person: a path, `stderr`, or what stands after `syslog:`.
    pub fn main_names(&self) -> Vec<String> {
        let name = |log: &ErrorLog| match &log.target {
            LogTarget::File(path) => path.display().to_string(),
            LogTarget::Stderr => "stderr".to_owned(),
            LogTarget::Syslog(text) => format!("syslog:{text}"),
            LogTarget::Variable(_) => String::new(),
        };
        self.main.iter().map(name).collect()
    }
}
