//! What the program does when it is called.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::ExitCode;

use crate::compile::Loaded;
use crate::diag::{Severity, render_long};
use crate::log::Logs;
use crate::process::{self, Options, Record};
use crate::sys::{self, Signal};

use super::args::{Args, Control};
use super::check;
use super::check::advice;
use super::impact;
use super::place::Place;
use super::sub;
use super::version;

/// Runs the command line `args` (the program's name first) and returns the exit code.
pub fn main(args: Vec<OsString>) -> ExitCode {
    ExitCode::from(run(args))
}

fn run(argv: Vec<OsString>) -> u8 {
    if let Some(code) = sub::run(&argv) {
        return code;
    }
    let args = match Args::parse(&argv) {
        Ok(args) => args,
        Err(text) => {
            say(&text);
            return 1;
        }
    };
    if args.version {
        sys::write_stderr(version::text(&args).as_bytes());
        if !args.test {
            return 0;
        }
    }
    if args.more.asked() || (args.test && args.conf.as_deref() == Some("-".as_ref())) {
        return check::run(&args).unwrap_or_else(|text| {
            say(&text);
            1
        });
    }
    let place = match Place::find(&args) {
        Ok(place) => place,
        Err(e) => {
            say(&format!("[emerg]: getcwd() failed ({})", sys::err_text(&e)));
            return 1;
        }
    };
    let terminal = sys::is_terminal(io::stderr().as_raw_fd());
    let options = Options {
        prefix: place.prefix,
        conf: place.conf,
        globals: args.globals.as_ref().map(|g| g.to_string_lossy().into_owned()),
        error_log: place.error_log,
        argv,
        greet: terminal,
    };
    let named = args.error_log.is_some();
    let builtin = if named || options.error_log.is_some() {
        builtin(&options, args.test)
    } else {
        // The standard error for want of a folder is nobody's log: scripts expect the program's lines there.
        Logs::console_alone()
    };
    let mut loaded = process::load(&options);
    let plan = loaded.plan.take();
    let conf = options.conf.display();
    let readable = plan.is_some() || only_incomplete(&loaded);
    let syntax_ok = || {
        if args.test && !args.quiet && readable {
            say(&format!("the configuration file {conf} syntax is ok"));
        }
    };
    // nginx looks for what is missing after it has read everything.
    if plan.is_none() {
        syntax_ok();
    }
    tell(&loaded, &builtin, terminal && args.signal.is_none());
    let failed = || {
        if args.test {
            say(&format!("configuration file {conf} test failed"));
        }
        1
    };
    let Some(plan) = plan else { return failed() };
    // With `-t` nginx tests and sends nothing.
    if let Some(control) = args.signal.filter(|_| !args.test) {
        return send(control, &plan.process.pid, &builtin);
    }
    if !args.test {
        let record = Record::of(&loaded.conf, &options);
        return process::start(&options, plan, record, builtin);
    }
    syntax_ok();
    if !process::probe(&options, &plan, &builtin) {
        return failed();
    }
    if !args.quiet {
        if terminal {
            let impacts = impact::of(&plan).unwrap_or_default();
            sys::write_stderr(advice(&loaded.conf, &impacts).as_bytes());
        }
        say(&format!("configuration file {conf} test is successful"));
    }
    if args.dump { dump(&loaded) } else { 0 }
}

/// Whether every line of the configuration is in order and only a whole section is missing.
fn only_incomplete(loaded: &Loaded) -> bool {
    let mut fatal = loaded.diags.iter().filter(|d| d.severity.is_fatal()).peekable();
    fatal.peek().is_some() && fatal.all(|d| d.message == "no \"events\" section in configuration")
}

/// A line of the program itself, as nginx prints its own.
fn say(text: &str) {
    sys::write_stderr(format!("nginx: {text}\n").as_bytes());
}

/// The log that is there until the configuration's are open. What is a warning or worse also goes to the standard
/// error.
fn builtin(options: &Options, test: bool) -> Logs {
    let level = if test { Severity::Info } else { Severity::Notice };
    let logs = Logs::builtin(options.error_log.as_deref(), level).or_else(|e| {
        say(&format!("[alert] could not open error log file: {e}"));
        Logs::builtin(None, level)
    });
    let logs = logs.unwrap_or_else(|e| unreachable!("the standard error needs no opening: {e}"));
    logs.console(true);
    logs
}

/// Says what there is to say about the configuration: each thing in nginx's line for logs and pipes, and with its
/// source line for a person.
fn tell(loaded: &Loaded, builtin: &Logs, long: bool) {
    builtin.console(!long);
    process::report(loaded, builtin);
    builtin.console(true);
    if long {
        for diag in loaded.diags.iter() {
            let mut text = render_long(&loaded.conf.map, diag);
            text.push('\n');
            sys::write_stderr(text.as_bytes());
        }
    }
}

/// `-T`: every file that was read, each once, in the order of reading.
fn dump(loaded: &Loaded) -> u8 {
    let mut out = Vec::new();
    loaded.conf.dump(&mut out);
    let mut stdout = io::stdout().lock();
    // A reader that has gone is no failure of the test.
    let _ = stdout.write_all(&out).and_then(|()| stdout.flush());
    0
}

/// `-s`: the signal, to the process that the pid file names.
fn send(control: Control, pid_file: &Path, builtin: &Logs) -> u8 {
    builtin.main(Severity::Notice, format_args!("signal process started"));
    let pid = match process::read_pid(pid_file) {
        Ok(pid) => pid,
        Err(text) => {
            builtin.main(Severity::Error, format_args!("{text}"));
            return 1;
        }
    };
    let signal = match control {
        Control::Stop => Signal::Term,
        Control::Quit => Signal::Quit,
        Control::Reopen => Signal::Usr1,
        Control::Reload => Signal::Hup,
    };
    if let Err(e) = sys::kill(pid, signal.number()) {
        let (number, why) = (signal.number(), sys::err_text(&e));
        builtin.main(Severity::Alert, format_args!("kill({pid}, {number}) failed ({why})"));
        return 1;
    }
    0
}
