//! tenrec beside nginx and HAProxy: the same work, in turn, pinned, several rounds.
//!
//! `cargo bench --bench peers [-- --rounds N --seconds N --only CASE,… --peers tenrec,nginx,tengine,haproxy]`
//!
//! The proxy has one processor to itself, the load (wrk) and the backend (nginx) share another. For every case and
//! round each proxy is started afresh and measured in turn, so that a drift of the machine's speed meets all of them
//! alike. CPU is what the kernel counted for all threads of the proxy, divided by the requests that wrk completed.
//! `TENREC_NGINX` names another nginx than the installed one, `TENREC_TENGINE` a Tengine.
//! Without nginx, HAProxy or wrk (installed from Debian when that can be done) the rows that need them are left out
//! and said so.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a report is what this program is for")]

mod cases;
mod checks;
mod measure;
mod peers;

use std::process::ExitCode;

use cases::CASES;
use checks::CHECKS;
use measure::{Figures, median};
use peers::{Bench, Peer};

/// What the command line asked for.
struct Options {
    rounds: usize,
    seconds: u64,
    only: Vec<String>,
    peers: Vec<String>,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let bench = match Bench::prepare() {
        Ok(bench) => bench,
        Err(why) => {
            println!("SKIPPED: {why}");
            return ExitCode::SUCCESS;
        }
    };
    println!("{}", bench.describe());
    for case in CASES.iter().filter(|c| options.only.is_empty() || options.only.iter().any(|o| o == c.name)) {
        println!("\n{}: {}", case.name, case.what);
        let peers: Vec<Peer> = Peer::ALL
            .into_iter()
            .filter(|p| options.peers.is_empty() || options.peers.iter().any(|o| o == p.name()))
            .filter(|p| match bench.has(*p, case) {
                Ok(()) => true,
                Err(why) => {
                    if !why.is_empty() {
                        println!("  SKIPPED {}: {why}", p.name());
                    }
                    false
                }
            })
            .collect();
        let mut rows: Vec<Vec<Figures>> = vec![Vec::new(); peers.len()];
        for round in 0..options.rounds {
            for (peer, row) in peers.iter().zip(&mut rows) {
                match bench.run(*peer, case, options.seconds) {
                    Ok(figures) => row.push(figures),
                    Err(why) => println!("  {} round {round}: {why}", peer.name()),
                }
            }
        }
        report(&peers, &rows, case.session.as_ref().map_or(Peer::Nginx, |s| s.of));
    }
    let asked = |name: &str| options.only.is_empty() || options.only.iter().any(|o| o == name);
    for check in CHECKS.iter().filter(|c| asked(c.name)) {
        println!("\n{}: {}", check.name, check.what);
        let mut rows = [("tenrec", Vec::new()), ("nginx", Vec::new())];
        for round in 0..options.rounds {
            for (name, row) in &mut rows {
                match bench.check(check, *name == "nginx") {
                    Ok(run) => row.push(run),
                    Err(why) => println!("  {name} round {round}: {why}"),
                }
            }
        }
        checks::report(&rows);
    }
    ExitCode::SUCCESS
}

fn report(peers: &[Peer], rows: &[Vec<Figures>], of: Peer) {
    println!(
        "  {:<8} {:>10} {:>10} {:>9} {:>9} {:>9}   CPU against {}: median (min–max)",
        "",
        "requests/s",
        "CPU µs/rq",
        "p50 ms",
        "p99 ms",
        "RSS MiB",
        of.name()
    );
    let nginx = peers.iter().position(|p| *p == of).map(|i| &rows[i]);
    for (peer, row) in peers.iter().zip(rows) {
        if row.is_empty() {
            continue;
        }
        let column = |of: fn(&Figures) -> f64| median(row.iter().map(of).collect());
        let ratio = match nginx {
            Some(theirs) if *peer != of && !theirs.is_empty() => {
                let pairs: Vec<f64> = row.iter().zip(theirs).map(|(a, b)| a.cpu_us / b.cpu_us).collect();
                let (min, max) =
                    pairs.iter().fold((f64::MAX, 0.0_f64), |(lo, hi), r| (lo.min(*r), hi.max(*r)));
                format!("{:.2} ({min:.2}–{max:.2})", median(pairs))
            }
            _ => String::new(),
        };
        println!(
            "  {:<8} {:>10.0} {:>10.2} {:>9.2} {:>9.2} {:>9.1}   {ratio}",
            peer.name(),
            column(|f| f.per_second),
            column(|f| f.cpu_us),
            column(|f| f.p50_ms),
            column(|f| f.p99_ms),
            column(|f| f.rss_mib),
        );
        let errors: u64 = row.iter().map(|f| f.errors).sum();
        if errors > 0 {
            println!("  {:<8} {errors} answers were errors or never came", peer.name());
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options { rounds: 5, seconds: 4, only: Vec::new(), peers: Vec::new() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--rounds" => options.rounds = value()?.parse().map_err(|_| "--rounds takes a number")?,
            "--seconds" => options.seconds = value()?.parse().map_err(|_| "--seconds takes a number")?,
            "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
            "--peers" => options.peers = value()?.split(',').map(str::to_owned).collect(),
            // What cargo itself adds.
            "--bench" => {}
            _ => return Err(format!("unknown argument {arg}; see the head of benches/peers/main.rs")),
        }
    }
    if options.rounds == 0 || !(1..=60).contains(&options.seconds) {
        return Err("--rounds from 1, --seconds from 1 to 60".to_owned());
    }
    Ok(options)
}
