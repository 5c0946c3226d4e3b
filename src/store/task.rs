//! The life of a store's connection: made, used, lost, made again.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use redis::{PushInfo, PushKind, Value};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::Instant;

use super::command::{EACH, Names, asked, moved};
use super::connection::{Answer, Link, PATIENCE, Trouble, late};
use super::dirty::Dirty;
use super::handle::{Asked, Job, Kind, LATE, State, Write};
use crate::diag::Severity;
use crate::log::Logs;
use crate::plan::{LearnStore, StickyLearn};
use crate::rt::clock;
use crate::sticky::{Sid, Table};

/// Between two attempts to connect, and between two after what could not be written: at first, and at most.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
const HOLD: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A connection that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(5);
/// What does not change is said again after so long.
const SAY: Duration = Duration::from_secs(60);
/// How long the last notes may take at the end.
const END: Duration = Duration::from_millis(500);
/// Notes that are sent at once.
const BATCH: usize = 512;

pub(super) struct Task {
    names: Names,
    settings: Arc<LearnStore>,
    /// How long a session is good for.
    timeout: Duration,
    table: Arc<Table>,
    queue: UnboundedReceiver<Job>,
    state: Arc<State>,
    dirty: Dirty,
    voice: Voice,
}

/// How a connection ended.
enum Ended {
    /// Nobody has any use for the store.
    Unused,
    Lost(Trouble),
}

/// Notes on their way.
struct Flight {
    writes: Vec<Write>,
    /// The part of the table that they are of; `None`: somebody told them.
    part: Option<usize>,
    answers: Pin<Box<dyn Future<Output = Vec<Answer>> + Send>>,
}

impl Task {
    pub(super) fn new(
        learn: &StickyLearn,
        settings: Arc<LearnStore>,
        table: Arc<Table>,
        queue: UnboundedReceiver<Job>,
        state: Arc<State>,
        logs: Arc<Logs>,
    ) -> Self {
        let nodes: Vec<String> = settings.nodes.iter().map(ToString::to_string).collect();
        let who = format!("store {} of sticky zone \"{}\"", nodes.join(","), learn.zone);
        let voice = Voice { logs, who, said: None };
        let (names, timeout) = (Names::new(&learn.zone), learn.timeout);
        Self { names, settings, timeout, table, queue, state, dirty: Dirty::default(), voice }
    }

    pub(super) async fn run(mut self) {
        let mut wait = WAIT.0;
        loop {
            let (pushes, pushed) = mpsc::unbounded_channel();
            let settings = self.settings.clone();
            let names = Names::new(self.names.zone());
            let opened = self.offline(async move { Link::open(&settings, &names, pushes).await }).await;
            let trouble = match opened {
                None => break,
                Some(Err(trouble)) => trouble,
                Some(Ok(link)) => {
                    self.voice.change(Severity::Notice, "answers", "");
                    let begun = Instant::now();
                    self.state.up.store(true, Relaxed);
                    let ended = self.online(&link, pushed).await;
                    self.state.up.store(false, Relaxed);
                    if begun.elapsed() >= GOOD {
                        wait = WAIT.0;
                    }
                    match ended {
                        Ended::Unused => break,
                        Ended::Lost(trouble) => trouble,
                    }
                }
            };
            self.voice.change(
                Severity::Error,
                "is away",
                &format!(": {trouble}; sessions are kept in memory"),
            );
            if self.offline(tokio::time::sleep(wait)).await.is_none() {
                break;
            }
            wait = (wait * 2).min(WAIT.1);
        }
        let lost = self.dirty.len();
        if lost > 0 {
            self.voice.say(Severity::Warn, &format!(": {lost} sessions were not written at the end"));
        }
    }

    /// Waits for `what` while the store is away; `None`: nobody has any use for it.
    async fn offline<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        let mut what = std::pin::pin!(what);
        loop {
            tokio::select! {
                done = &mut what => return Some(done),
                job = self.queue.recv() => match job? {
                    Job::LookUp(_, reply) => drop(reply.send(Asked::Away)),
                    // What is learned now holds whatever the store says later.
                    Job::Note(write) if matches!(write.kind, Kind::Touch | Kind::Forget) => self.dirty.add(write),
                    Job::Note(write) => self.dirty.add(Write { kind: Kind::Put, ..write }),
                },
            }
        }
    }

    async fn online(&mut self, link: &Link, mut pushed: UnboundedReceiver<PushInfo>) -> Ended {
        let (trouble, mut troubles) = mpsc::unbounded_channel::<Option<Trouble>>();
        let (mut jobs, mut late_ones, mut open) = (Vec::new(), 0, true);
        let mut flight: Option<Flight> = None;
        let mut walk = 0;
        let (mut hold, mut hold_for) = (Instant::now(), HOLD.0);
        let mut end = None;
        loop {
            if flight.is_none() && hold <= Instant::now() {
                flight = self.next(link, &mut walk);
            }
            if !open
                && (flight.is_none() && self.dirty.len() == 0 || end.is_some_and(|at| at <= Instant::now()))
            {
                return Ended::Unused;
            }
            let flying = flight.is_some();
            let landed = async {
                match &mut flight {
                    Some(flight) => tokio::time::timeout(PATIENCE, &mut flight.answers).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                n = self.queue.recv_many(&mut jobs, 256), if open => {
                    if n == 0 {
                        open = false;
                        end = Some(Instant::now() + END);
                    }
                    self.take(link, &mut jobs, &trouble);
                }
                answers = landed, if flying => {
                    let Some(flown) = flight.take() else { continue };
                    let Ok(answers) = answers else {
                        self.keep(flown);
                        return Ended::Lost(late());
                    };
                    match self.settle(flown, answers, &mut walk) {
                        None => hold_for = HOLD.0,
                        Some(trouble) if trouble.gone => return Ended::Lost(trouble),
                        Some(trouble) if trouble.text.starts_with("READONLY") && hold_for >= HOLD.1 => {
                            return Ended::Lost(trouble);
                        }
                        Some(_) => {
                            hold = Instant::now() + hold_for;
                            hold_for = (hold_for * 2).min(HOLD.1);
                        }
                    }
                }
                Some(trouble) = troubles.recv() => match trouble {
                    None => late_ones = 0,
                    Some(trouble) => {
                        late_ones += 1;
                        if late_ones >= LATE || (trouble.gone && trouble != late()) {
                            flight.into_iter().for_each(|f| self.keep(f));
                            return Ended::Lost(trouble);
                        }
                    }
                },
                push = pushed.recv() => match push {
                    Some(push) if push.kind == PushKind::Disconnection => {
                        if let Link::One(_) = link {
                            flight.into_iter().for_each(|f| self.keep(f));
                            let text = "it closed the connection".to_owned();
                            return Ended::Lost(Trouble { text, gone: true });
                        }
                    }
                    Some(push) => self.hear(&push, flight.as_ref()),
                    None => {}
                },
                () = tokio::time::sleep_until(hold), if !flying && hold > Instant::now() => {}
                () = tokio::time::sleep_until(end.unwrap_or(hold)), if end.is_some() => {}
            }
        }
    }

    /// Sends look-ups, and keeps notes for the next flight.
    fn take(&mut self, link: &Link, jobs: &mut Vec<Job>, trouble: &mpsc::UnboundedSender<Option<Trouble>>) {
        let (mut commands, mut replies) = (Vec::new(), Vec::new());
        for job in jobs.drain(..) {
            match job {
                Job::Note(write) => self.dirty.add(write),
                Job::LookUp(key, reply) if !reply.is_closed() => {
                    commands.push(self.names.get(key));
                    replies.push(reply);
                }
                Job::LookUp(..) => {}
            }
        }
        if commands.is_empty() {
            return;
        }
        let (link, trouble, limit) = (link.clone(), trouble.clone(), self.settings.timeout);
        tokio::spawn(async move {
            let Ok(answers) = tokio::time::timeout(limit, link.send(commands)).await else {
                let _ = trouble.send(Some(late()));
                return;
            };
            let mut first = None;
            for (reply, answer) in replies.into_iter().zip(answers) {
                let said = match answer {
                    Ok(value) => asked(&value),
                    Err(trouble) => {
                        first.get_or_insert(trouble);
                        Asked::Away
                    }
                };
                let _ = reply.send(said);
            }
            let _ = trouble.send(first);
        });
    }

    /// The next notes to be told: those that somebody told, then what else memory knows.
    fn next(&mut self, link: &Link, walk: &mut usize) -> Option<Flight> {
        let mut commands = Vec::new();
        let (mut writes, mut part) = (self.dirty.take(BATCH), None);
        for write in &writes {
            self.names.push(write, self.timeout, &mut commands);
        }
        while writes.is_empty() && *walk < self.table.parts() {
            let now = clock::unix_millis();
            part = Some(*walk);
            for session in self.table.part(*walk, now, self.timeout) {
                let idle = Duration::from_millis(now.saturating_sub(session.used));
                let write = Write { key: session.key, sid: session.sid, kind: Kind::New };
                self.names.push(&write, self.timeout.saturating_sub(idle), &mut commands);
                writes.push(write);
            }
            *walk += 1;
        }
        if writes.is_empty() {
            return None;
        }
        let link = link.clone();
        Some(Flight { writes, part, answers: Box::pin(async move { link.send(commands).await }) })
    }

    /// What could not be told is told later.
    fn keep(&mut self, flight: Flight) {
        // The next connection begins with all that is in memory.
        if flight.part.is_none() {
            self.dirty.give_back(flight.writes);
        }
    }

    /// Takes the answers to notes; the first thing that went wrong.
    fn settle(&mut self, flight: Flight, answers: Vec<Answer>, walk: &mut usize) -> Option<Trouble> {
        let Flight { writes, part, .. } = flight;
        let (mut failed, mut trouble) = (Vec::new(), None::<Trouble>);
        for (write, answers) in writes.into_iter().zip(answers.chunks(EACH)) {
            let wrong = match write.kind {
                // That nobody hears of a move is no harm.
                Kind::Put | Kind::Forget => answers.iter().take(1).find_map(|a| a.as_ref().err()),
                Kind::New | Kind::Touch => answers.iter().find_map(|a| a.as_ref().err()),
            };
            if let Some(wrong) = wrong {
                if trouble.as_ref().is_none_or(|t| wrong.gone && !t.gone) {
                    trouble = Some(wrong.clone());
                }
                failed.push(write);
                continue;
            }
            let theirs = match (write.kind, answers.last()) {
                (Kind::Put | Kind::Forget, _) | (_, None | Some(Err(_))) => continue,
                (_, Some(Ok(value))) => asked(value),
            };
            match theirs {
                Asked::Known(sid) if sid != write.sid => self.adopt(write, sid),
                // The store has forgotten it.
                Asked::Unknown if write.kind == Kind::Touch => {
                    self.dirty.add(Write { kind: Kind::New, ..write })
                }
                _ => {}
            }
        }
        if let Some(trouble) = &trouble {
            let n = failed.len();
            match part {
                Some(part) => *walk = (*walk).min(part),
                None => self.dirty.give_back(failed),
            }
            if !trouble.gone {
                self.voice.change(
                    Severity::Error,
                    "does not take what it is told",
                    &format!(": {trouble} ({n} sessions wait)"),
                );
            }
        }
        let dropped = self.dirty.dropped();
        if dropped > 0 {
            self.voice.say(Severity::Warn, &format!(": {dropped} sessions were not written, too many wait"));
        }
        trouble
    }

    /// The store knows a session otherwise.
    fn adopt(&self, write: Write, theirs: Sid) {
        if !self.dirty.has(write.key) {
            self.table.adopt(write.key, Some(write.sid), theirs, clock::unix_millis(), self.timeout);
        }
    }

    /// Another machine, or we ourselves, told of a move.
    fn hear(&self, push: &PushInfo, flight: Option<&Flight>) {
        let (PushKind::Message, [_, Value::BulkString(text)]) = (&push.kind, &push.data[..]) else { return };
        let Some((key, sid)) = moved(text) else { return };
        let flies = flight.is_some_and(|f| f.part.is_none() && f.writes.iter().any(|w| w.key == key));
        if flies || self.dirty.has(key) {
            return;
        }
        let now = clock::unix_millis();
        let Some(sid) = sid else {
            self.table.forget(key);
            return;
        };
        if let Some(ours) = self.table.look_up(key, now, self.timeout).filter(|ours| *ours != sid) {
            self.table.adopt(key, Some(ours), sid, now, self.timeout);
        }
    }
}

/// What is logged of a store: changes at once, the rest once a minute.
struct Voice {
    logs: Arc<Logs>,
    who: String,
    said: Option<(&'static str, Instant)>,
}

impl Voice {
    fn change(&mut self, severity: Severity, what: &'static str, more: &str) {
        let now = Instant::now();
        if self.said.is_some_and(|(said, at)| said == what && now < at + SAY) {
            return;
        }
        self.said = Some((what, now));
        self.say(severity, &format!(" {what}{more}"));
    }

    fn say(&self, severity: Severity, text: &str) {
        self.logs.main(severity, format_args!("{}{text}", self.who));
    }
}
