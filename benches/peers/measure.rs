//! One measurement: the load, and what the kernel counted for the proxy meanwhile.

use std::path::Path;
use std::process::Command;

/// One round's result for one proxy.
#[derive(Debug, Clone)]
pub struct Figures {
    pub per_second: f64,
    pub cpu_us: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub rss_mib: f64,
    pub errors: u64,
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// A process and all that it forked, by the parents named in /proc.
fn family(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut i = 0;
    while i < all.len() {
        let path = format!("/proc/{0}/task/{0}/children", all[i]);
        let text = std::fs::read_to_string(path).unwrap_or_default();
        all.extend(text.split_whitespace().filter_map(|p| p.parse::<u32>().ok()));
        i += 1;
    }
    all
}

/// Nanoseconds on a processor of every thread of a process and its children.
fn cpu_ns(root: u32) -> u64 {
    let mut sum = 0;
    for pid in family(root) {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for task in tasks.flatten() {
            let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            sum += text.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    sum
}

/// Resident memory of the family in MiB; pages that parent and child share count once for each, for every proxy alike.
fn rss_mib(root: u32) -> f64 {
    let kib: u64 = family(root)
        .iter()
        .filter_map(|pid| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = text.lines().find(|l| l.starts_with("VmRSS:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .sum();
    kib as f64 / 1024.0
}

/// Loads `url` with wrk on processor 1 for `seconds`, after a short warm-up, and says what it cost process `pid`.
pub fn load(
    wrk: &Path,
    pid: u32,
    url: &str,
    fields: &[String],
    connections: usize,
    seconds: u64,
) -> Result<Figures, String> {
    let wrk_once = |seconds: u64| -> Result<String, String> {
        let mut command = Command::new("taskset");
        command.args(["-c", "1"]).arg(wrk).args(["-t", "1", "--latency", "--timeout", "5s"]);
        command.args(["-c", &connections.to_string(), "-d", &format!("{seconds}s")]);
        for field in fields {
            command.args(["-H", field]);
        }
        let out = command.arg(url).output().map_err(|e| format!("wrk: {e}"))?;
        if !out.status.success() {
            return Err(format!("wrk: {}", String::from_utf8_lossy(&out.stderr)));
        }
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    };
    wrk_once(1)?;
    let before = cpu_ns(pid);
    let text = wrk_once(seconds)?;
    let spent = cpu_ns(pid).saturating_sub(before);
    let requests = number_before(&text, " requests in").ok_or_else(|| format!("wrk said: {text}"))?;
    if requests < 1.0 {
        return Err("no request was answered".to_owned());
    }
    Ok(Figures {
        per_second: after(&text, "Requests/sec:").and_then(|v| v.parse().ok()).unwrap_or(0.0),
        cpu_us: spent as f64 / 1000.0 / requests,
        p50_ms: percentile(&text, "50%").unwrap_or(f64::NAN),
        p99_ms: percentile(&text, "99%").unwrap_or(f64::NAN),
        rss_mib: rss_mib(pid),
        errors: errors(&text),
    })
}

/// `Non-2xx or 3xx responses: N`, and the sum of `Socket errors: connect 0, read 0, write 0, timeout 0`.
fn errors(text: &str) -> u64 {
    let refused = after(text, "Non-2xx or 3xx responses:").and_then(|v| v.parse().ok()).unwrap_or(0);
    let line = text.lines().find(|l| l.contains("Socket errors:")).unwrap_or_default();
    refused + line.split([' ', ',']).filter_map(|w| w.parse::<u64>().ok()).sum::<u64>()
}

/// A line of wrk's latency distribution, in milliseconds.
fn percentile(text: &str, label: &str) -> Option<f64> {
    let line = text.lines().find(|l| l.trim_start().starts_with(label))?;
    milliseconds(line.split_whitespace().nth(1)?)
}

fn after<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    text.split_once(label)?.1.split_whitespace().next()
}

fn number_before(text: &str, label: &str) -> Option<f64> {
    text.split_once(label)?.0.split_whitespace().last()?.parse().ok()
}

/// wrk's `1.23ms`, `456.00us`, `1.20s`.
fn milliseconds(text: &str) -> Option<f64> {
    let (number, factor) = if let Some(n) = text.strip_suffix("us") {
        (n, 0.001)
    } else if let Some(n) = text.strip_suffix("ms") {
        (n, 1.0)
    } else {
        (text.strip_suffix('s')?, 1000.0)
    };
    number.parse::<f64>().ok().map(|n| n * factor)
}
