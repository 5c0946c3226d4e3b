//! The files in which what `sticky learn` has learned outlives a restart.
//!
//! The master writes them, as who it is: nothing needs to be writable for the worker. While it serves a child of its
//! own does it, so that no signal and no reload waits for a disk; at the end it does so itself, when nobody learns any
//! more. A file takes the place of the one before it as a whole, or not at all.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::diag::Severity;
use crate::log::Logs;
use crate::plan::{Plan, Sticky};
use crate::rt::clock;
use crate::sticky::{Digest, Tables, Zone, read_snapshot, write_snapshot};
use crate::sys::{self, Fork, Pid};

use super::sockets::Refused;

/// Of the time at most one part in so many is spent writing.
const SHARE: u32 = 10;

/// When which file is to be written.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// By the zones' names.
    due: HashMap<Box<str>, Instant>,
    helper: Option<(Pid, Instant)>,
}

impl Snapshots {
    /// How long nothing is to be done; `None`: until a child ends, or for ever.
    pub(crate) fn wait(&mut self, tables: &Tables, now: Instant) -> Option<Duration> {
        let zones: Vec<_> = tables.zones().filter_map(|z| Some((z, z.snapshot.as_ref()?))).collect();
        self.due.retain(|name, _| zones.iter().any(|(z, _)| z.name == *name));
        for (zone, snapshot) in zones {
            self.due.entry(zone.name.clone()).or_insert(now + snapshot.interval);
        }
        let next = self.due.values().min().filter(|_| self.helper.is_none())?;
        Some(next.saturating_duration_since(now))
    }

    /// The zones whose time has come.
    fn due<'t>(&self, tables: &'t Tables, now: Instant) -> Vec<&'t Zone> {
        tables.zones().filter(|z| self.due.get(&z.name).is_some_and(|at| *at <= now)).collect()
    }

    /// Writes what is due in a child. The caller is the only thread of its process.
    pub(crate) fn start(&mut self, tables: &Tables, logs: &Logs, now: Instant) {
        let zones = self.due(tables, now);
        if zones.is_empty() || self.helper.is_some() {
            return;
        }
        match sys::fork() {
            Ok(Fork::Child) => {
                let failed = zones.iter().filter(|zone| !save(zone, logs)).count();
                sys::exit_now(i32::from(failed > 0))
            }
            Ok(Fork::Parent(pid)) => self.helper = Some((pid, now)),
            Err(e) => {
                let why = sys::err_text(&e);
                logs.main(Severity::Alert, format_args!("fork() failed while saving sessions ({why})"));
                self.next(tables, now, Duration::ZERO);
            }
        }
    }

    /// Whether the process that ended was the child that writes.
    pub(crate) fn ended(&mut self, pid: Pid, tables: &Tables, now: Instant) -> bool {
        let Some((_, begun)) = self.helper.take_if(|(helper, _)| *helper == pid) else { return false };
        let took = now.saturating_duration_since(begun);
        let at = self.due.values().filter(|at| **at <= begun).count();
        debug_assert!(at > 0 || self.due.is_empty(), "it was started for something");
        self.next(tables, now, took);
        true
    }

    /// Sets the next time of what was due.
    fn next(&mut self, tables: &Tables, now: Instant, took: Duration) {
        for zone in tables.zones() {
            let (Some(snapshot), Some(at)) = (&zone.snapshot, self.due.get_mut(&zone.name)) else { continue };
            if *at <= now {
                *at = now + snapshot.interval.max(took * SHARE);
            }
        }
    }

    /// Ends the child that writes, whose file would be older than the one to come.
    pub(crate) fn stop(&mut self) {
        let Some((pid, _)) = self.helper.take() else { return };
        let _ = sys::kill(pid, sys::SIGKILL);
        sys::wait_for(pid);
    }

    /// The same as [`Self::start`] in a thread, for a process with several. The answer is to be given back when it has
    /// ended.
    pub(crate) fn start_thread(
        &mut self,
        tables: &Tables,
        logs: &std::sync::Arc<Logs>,
        now: Instant,
    ) -> Option<std::thread::JoinHandle<()>> {
        let zones: Vec<Zone> = self.due(tables, now).into_iter().cloned().collect();
        if zones.is_empty() {
            return None;
        }
        self.next(tables, now, Duration::ZERO);
        let logs = logs.clone();
        let write = move || {
            for zone in &zones {
                save(zone, &logs);
            }
        };
        std::thread::Builder::new().name("sessions".to_owned()).spawn(write).ok()
    }
}

/// Writes every file now.
pub(crate) fn save_all(tables: &Tables, logs: &Logs) {
    for zone in tables.zones() {
        save(zone, logs);
    }
}

/// Writes a zone's file, if it has one and anything changed. False: it could not be written; the one before it stays.
fn save(zone: &Zone, logs: &Logs) -> bool {
    let Some(snapshot) = &zone.snapshot else { return true };
    let now = clock::unix_millis();
    let write = |out: &mut dyn io::Write| {
        let mut out = out;
        write_snapshot(&zone.name, &zone.table, now, zone.timeout, &mut out)
    };
    let digest = write(&mut io::sink()).ok();
    if digest.is_some() && digest == on_disk(&snapshot.path) {
        return true;
    }
    let temp = beside(&snapshot.path);
    let result = replace(&snapshot.path, &temp, |out| write(out).map(drop));
    if let Err((call, e)) = result {
        let _ = fs::remove_file(&temp);
        let (name, path, why) = (&zone.name, snapshot.path.display(), sys::err_text(&e));
        let text = format_args!(
            "sessions of sticky zone \"{name}\" not saved to \"{path}\": {call}() failed ({why})"
        );
        logs.main(Severity::Alert, text);
        return false;
    }
    true
}

/// What the file holds that is there.
fn on_disk(path: &Path) -> Option<Digest> {
    let mut file = open(path).ok()?;
    let mut end = [0; Digest::LEN];
    file.seek(SeekFrom::End(-(Digest::LEN as i64))).ok()?;
    file.read_exact(&mut end).ok()?;
    Digest::of_end(&end)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Writes a file and puts it in the place of another, both safe on the disk.
fn replace(
    path: &Path,
    temp: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), (&'static str, io::Error)> {
    let of = |call| move |e| (call, e);
    // What a process that was ended in the middle has left.
    if let Err(e) = fs::remove_file(temp)
        && e.kind() != io::ErrorKind::NotFound
    {
        return Err(("unlink", e));
    }
    // `create_new` follows no link.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temp).map_err(of("open"))?;
    let mut out = BufWriter::with_capacity(256 * 1024, file);
    write(&mut out).map_err(of("write"))?;
    out.flush().map_err(of("write"))?;
    out.get_ref().sync_all().map_err(of("fsync"))?;
    fs::rename(temp, path).map_err(of("rename"))?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).map_err(of("fsync"))
}

/// Opens a file that is a plain one.
fn open(path: &Path) -> io::Result<File> {
    // Opening a pipe would wait for somebody at its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    File::open(path)
}

/// Fills the zones that nothing was known of before. Whatever is wrong with a file is said, and what verifies is kept.
/// `worker` is whom the worker becomes.
pub(crate) fn load(tables: &Tables, worker: Option<u32>, logs: &Logs) {
    for zone in tables.zones().filter(|z| z.fresh) {
        let Some(snapshot) = &zone.snapshot else { continue };
        let (name, path) = (&zone.name, snapshot.path.display());
        let refuse = |why: std::fmt::Arguments<'_>| {
            let text = format_args!("sessions of sticky zone \"{name}\" not read from \"{path}\": {why}");
            logs.main(Severity::Error, text);
        };
        let file = match open(&snapshot.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => {
                refuse(format_args!("open() failed ({})", sys::err_text(&e)));
                continue;
            }
        };
        match file.metadata() {
            Ok(meta) => {
                let owner = meta.uid();
                if owner != 0 && owner != sys::user_id() && Some(owner) != worker {
                    refuse(format_args!("it belongs to user {owner}"));
                    continue;
                }
                if meta.mode() & 0o022 != 0 {
                    refuse(format_args!("others may write to it (mode {:o})", meta.mode() & 0o7777));
                    continue;
                }
            }
            Err(e) => {
                refuse(format_args!("fstat() failed ({})", sys::err_text(&e)));
                continue;
            }
        }
        let mut input = BufReader::with_capacity(256 * 1024, file);
        let (restored, lost) = read_snapshot(&mut input, &zone.table, clock::unix_millis(), zone.timeout);
        match lost {
            Some(why) => logs.main(
                Severity::Error,
                format_args!("sessions of sticky zone \"{name}\" in \"{path}\": {why}; {restored} restored"),
            ),
            None => logs.main(
                Severity::Notice,
                format_args!("sessions of sticky zone \"{name}\": {restored} restored from \"{path}\""),
            ),
        }
    }
}

/// Whether there is a folder for each file.
pub(crate) fn check(plan: &Plan, logs: &Logs) -> Result<(), Refused> {
    for upstream in &plan.upstreams {
        let Some(Sticky::Learn(learn)) = &upstream.sticky else { continue };
        let Some(path) = learn.snapshot.as_ref().map(|s| &s.path) else { continue };
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let wrong = match fs::metadata(folder) {
            Ok(meta) if meta.is_dir() => continue,
            Ok(_) => io::Error::from_raw_os_error(20),
            Err(e) => e,
        };
        let why = sys::err_text(&wrong);
        logs.main(Severity::Emerg, format_args!("open() \"{}\" failed ({why})", path.display()));
        return Err(Refused);
    }
    Ok(())
}
