//! Configurations and requests by chance, through a reference and through tenrec: what the client gets, who served it, what
//! the backend received, attempt by attempt.
//!
//! `TENREC_SERVING_SECONDS` says how long each of the three goes on (6), `TENREC_SERVING_SEED` where it begins (1). A difference counts when
//! it shows in three runs of its round out of three: what time and sockets decide is no behaviour.

mod conf;
mod farm;
mod traffic;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::clients;
use crate::support::daemon::{Daemon, Program, nginx, nginx_is_current};
use crate::support::skipped;
use farm::Farm;

/// What the reference knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Any nginx.
    Plain,
    /// The one that we follow.
    Nginx,
    Tengine,
}

/// Chance that can be had again.
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    /// Out of `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        (clients::next(&mut self.0) % n as u64) as usize
    }

    /// True once in `n` times.
    pub fn one_of(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        (!of.is_empty()).then(|| &of[self.below(of.len())])
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("{name}={v} is no number")))
}

/// Rounds until the time is over.
fn serve(test: &str, dialect: Dialect, reference: &Program) {
    let begun = Instant::now();
    let time = Duration::from_secs(number("TENREC_SERVING_SECONDS", 6));
    let (mut round, mut asked) = (number("TENREC_SERVING_SEED", 1), 0);
    let first = round;
    while round == first || begun.elapsed() < time {
        let mut tries: Vec<String> = Vec::new();
        loop {
            match one(dialect, reference, round) {
                Ok(many) => {
                    asked += many;
                    break;
                }
                Err(why) => tries.push(why),
            }
            assert!(tries.len() < 3, "{test}: TENREC_SERVING_SEED={round}\n{}", tries[2..].concat());
        }
        round += 1;
    }
    assert!(asked > 0, "{test}: nothing was compared");
    told(&format!("{test}: {} rounds, {asked} requests", round - first));
}

/// For whoever asked for more with `TENREC_SERVING_SECONDS`.
fn told(text: &str) {
    if std::env::var_os("TENREC_SERVING_SECONDS").is_some() {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

/// One configuration, and some requests to it. How many there were, or what differs.
fn one(dialect: Dialect, reference: &Program, round: u64) -> Result<usize, String> {
    let mut dice = Dice(round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..8 {
        dice.below(2);
    }
    let mut farm = Farm::new();
    let conf = conf::make(dialect, &mut dice, &farm);
    let theirs = Daemon::run(reference.clone(), &conf.text, &[]);
    let ours = Daemon::run(Program::Tenrec, &conf.text, &[]);
    let older = dialect == Dialect::Tengine || !nginx_is_current(reference);
    let mut talk = traffic::Talk::new(dialect, older, &conf, &theirs, &ours);
    let many = 60;
    for nth in 0..many {
        talk.step(&mut dice, &mut farm).map_err(|why| format!("step {nth}: {why}\n{}", conf.text))?;
    }
    talk.end(&mut farm).map_err(|why| format!("at the end: {why}\n{}", conf.text))?;
    Ok(many)
}

#[test]
fn sessions_and_choices_are_nginxs_whatever_comes() {
    match nginx() {
        Some(reference) if nginx_is_current(&reference) => {
            serve("serving as nginx", Dialect::Nginx, &reference)
        }
        _ => skipped("serving as nginx: sticky, least_time, drain", "TENREC_NGINX names no nginx 1.31"),
    }
}

#[test]
fn choices_are_nginxs_whatever_comes() {
    match nginx() {
        Some(reference) => serve("balancers as nginx", Dialect::Plain, &reference),
        None => skipped("balancers as nginx", "no nginx to compare with"),
    }
}

#[test]
fn sessions_are_tengines_whatever_comes() {
    match std::env::var_os("TENREC_TENGINE") {
        Some(path) => serve("serving as Tengine", Dialect::Tengine, &Program::Nginx(PathBuf::from(path))),
        None => skipped("serving as Tengine", "TENREC_TENGINE names no program"),
    }
}
