//! The table of `sticky learn` with a million sessions: bytes a session, CPU a look-up and a note, one thread.
//!
//! `cargo bench --bench tables [-- --sessions N --rounds N]`
//!
//! Sessions are asked for in random order, so that what is read is seldom in a cache. CPU is the kernel's count of the
//! thread's time; the median of the rounds stands, with the least and the most behind it.
#![allow(clippy::print_stdout, reason = "a report is what this program is for")]

use std::process::ExitCode;
use std::time::Duration;

use tenrec::rt::Rng;
use tenrec::sticky::{Key, Learned, Table, read_snapshot, write_snapshot};

const TIMEOUT: Duration = Duration::from_secs(3600);
const NOW: u64 = 1_795_252_184_000;
const SID: &[u8] = b"a44db3549e461fcd8a5ae22f73f91140";

fn main() -> ExitCode {
    let (mut sessions, mut rounds) = (1_000_000, 7);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let number = |value: Option<String>| value.and_then(|v| v.parse().ok()).filter(|n| *n > 0);
        match (arg.as_str(), arg.as_str() != "--bench") {
            (_, false) => {}
            ("--sessions", _) => match number(args.next()) {
                Some(n) => sessions = n,
                None => return usage(),
            },
            ("--rounds", _) => match number(args.next()) {
                Some(n) => rounds = n,
                None => return usage(),
            },
            _ => return usage(),
        }
    }
    let names: Vec<String> =
        (0..sessions).map(|n| format!("{:032x}", (n as u128 + 1) * 0x9e37_79b9_7f4a_7c15)).collect();
    let keys: Vec<Key> = names.iter().map(|n| Key::of(n.as_bytes())).collect();
    let strangers: Vec<Key> = (0..sessions).map(|n| Key::of(format!("stranger-{n}").as_bytes())).collect();
    let mut order: Vec<usize> = (0..sessions).collect();
    let mut rng = Rng::seeded(1);
    for i in (1..order.len()).rev() {
        order.swap(i, rng.below(i as u64 + 1) as usize);
    }

    // A ninth more room than sessions.
    let bytes = (sessions as f64 * Table::COST * 10.0 / 9.0) as usize;
    let before = shared_memory();
    let Ok(table) = Table::new(bytes) else {
        println!("SKIPPED: no memory for {bytes} bytes");
        return ExitCode::SUCCESS;
    };
    let (created, evicted) = timed(|| {
        let learned = order.iter().map(|&n| table.learn(keys[n], SID, true, NOW, TIMEOUT));
        learned.filter(|l| *l == Learned::Evicted).count()
    });
    let held = shared_memory().saturating_sub(before);
    let there = keys.iter().filter(|k| table.look_up(**k, NOW, TIMEOUT).is_some()).count();
    println!("{sessions} sessions in a zone of {} KiB, room for {}", bytes / 1024, table.capacity());
    println!(
        "  {there} are there, {evicted} had to go; {:.1} bytes of memory a session",
        held as f64 / there as f64
    );
    println!("CPU, ns each: median (least–most) of {rounds} rounds");
    println!("  {:<28} {:>6.0}", "a session is created", created / sessions as f64);
    let row = |what: &str, work: &dyn Fn(usize) -> usize| {
        let mut all: Vec<f64> = (0..rounds)
            .map(|_| {
                let (ns, n) = timed(|| order.iter().map(|&n| work(n)).sum::<usize>());
                assert!(n <= sessions);
                ns / sessions as f64
            })
            .collect();
        all.sort_by(f64::total_cmp);
        let (least, most) = (all.first().copied().unwrap_or(0.0), all.last().copied().unwrap_or(0.0));
        println!("  {what:<28} {:>6.0} ({least:.0}–{most:.0})", all[all.len() / 2]);
    };
    row("the MD5 of a name", &|n| usize::from(Key::of(names[n].as_bytes()) == keys[n]));
    row("a look-up, known", &|n| usize::from(table.look_up(keys[n], NOW + 1, TIMEOUT).is_some()));
    row("a look-up, not known", &|n| usize::from(table.look_up(strangers[n], NOW + 1, TIMEOUT).is_some()));
    row("a note that it was used", &|n| {
        usize::from(table.learn(keys[n], SID, true, NOW + 2, TIMEOUT) == Learned::Known)
    });
    let mut file = Vec::with_capacity(bytes);
    let (ns, wrote) = timed(|| write_snapshot("zone", &table, NOW + 2, TIMEOUT, &mut file));
    println!("a snapshot: {} bytes, {:.0} ms to write", file.len(), ns / 1e6);
    assert!(wrote.is_ok_and(|digest| digest.sessions as usize >= there));
    if let Ok(again) = Table::new(bytes) {
        let (ns, (restored, lost)) = timed(|| read_snapshot(&mut &file[..], &again, NOW + 2, TIMEOUT));
        assert!(lost.is_none());
        println!("            {:.0} ms to read, {restored} restored", ns / 1e6);
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    println!("see the head of benches/tables/main.rs");
    ExitCode::FAILURE
}

/// Nanoseconds of this thread's CPU that `work` took.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let before = cpu();
    let done = work();
    (cpu() - before, done)
}

fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0)
}

/// Bytes of shared memory that this process has touched.
fn shared_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("RssShmem:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}
