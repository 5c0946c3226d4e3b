//! `-t` beside nginx's own: how long, and how much memory at most.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::measure::median;

/// A configuration to be tested.
pub struct Check {
    pub name: &'static str,
    pub what: &'static str,
    make: fn() -> String,
}

pub const CHECKS: &[Check] = &[
    Check { name: "check1m", what: "-t of 1 MB: servers, locations, maps, upstreams", make: one_megabyte },
    Check { name: "locations100k", what: "-t of 100 000 locations in one server", make: locations },
];

/// One run of one program.
pub struct Run {
    pub ms: f64,
    pub peak_mib: f64,
}

/// Runs `-t` of `program` on the check's file, on processor 0.
pub fn run(program: &Path, check: &Check, dir: &Path) -> Result<Run, String> {
    let file = dir.join(format!("{}.conf", check.name));
    if !file.exists() {
        std::fs::create_dir_all(dir.join("logs")).map_err(|e| e.to_string())?;
        std::fs::write(&file, (check.make)()).map_err(|e| e.to_string())?;
    }
    let mut command = Command::new("taskset");
    command
        .args(["-c", "0"])
        .arg(program)
        .args(["-t", "-q", "-e", "stderr", "-p"])
        .arg(dir)
        .arg("-c")
        .arg(&file);
    let start = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|e| e.to_string())?;
    let status = format!("/proc/{}/status", child.id());
    let (mut peak_kib, mut ms) = (0, 0.0);
    let code = loop {
        // The kernel's own high-water mark, read until the process is gone.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find(|l| l.starts_with("VmHWM:"));
        let kib = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok());
        peak_kib = peak_kib.max(kib.unwrap_or(0));
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(code) => break code,
            None if start.elapsed() > Duration::from_secs(120) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err("more than 120 s".to_owned());
            }
            None => std::thread::sleep(Duration::from_micros(200)),
        }
        ms = start.elapsed().as_secs_f64() * 1000.0;
    };
    if !code.success() {
        return Err(format!("refused the file ({code})"));
    }
    Ok(Run { ms, peak_mib: peak_kib as f64 / 1024.0 })
}

pub fn report(rows: &[(&str, Vec<Run>)]) {
    println!("  {:<8} {:>10} {:>10}   time against nginx: median", "", "ms", "peak MiB");
    let ms = |row: &[Run]| median(row.iter().map(|r| r.ms).collect());
    let nginx = rows.iter().find(|(name, row)| *name == "nginx" && !row.is_empty()).map(|(_, row)| ms(row));
    for (name, row) in rows.iter().filter(|(_, row)| !row.is_empty()) {
        let ratio =
            nginx.filter(|_| *name != "nginx").map_or(String::new(), |n| format!("{:.2}", ms(row) / n));
        let peak = median(row.iter().map(|r| r.peak_mib).collect());
        println!("  {name:<8} {:>10.1} {peak:>10.1}   {ratio}", ms(row));
    }
}

/// What a file of a site with many names looks like.
fn one_megabyte() -> String {
    let mut s = "events { worker_connections 1024; }\nhttp {\n    map_hash_max_size 8192;\n    \
                 server_names_hash_max_size 16384;\n    map $uri $area {\n        default none;\n"
        .to_owned();
    for i in 0..2000 {
        let _ = writeln!(s, "        /catalogue/item-{i} area-{};", i % 17);
    }
    s.push_str("    }\n");
    for i in 0..100 {
        let _ = write!(s, "    upstream pool{i} {{\n        hash $remote_addr consistent;\n");
        for peer in 0..4 {
            let _ = writeln!(
                s,
                "        server 127.0.{i}.{}:8080 weight=2 max_fails=3 fail_timeout=10s;",
                peer + 1
            );
        }
        s.push_str("    }\n");
    }
    let mut i = 0;
    while s.len() < 1_000_000 {
        let _ = write!(
            s,
            "    server {{\n        listen 127.0.0.1:18080;\n        server_name site{i}.example.com *.site{i}.example.org;\n        \
             add_header X-Site \"site{i} $area\" always;\n"
        );
        for (j, kind) in
            ["/", "/static/", "= /login", "^~ /assets/", "~ \\.php$", "~* \\.(png|jpg)$"].iter().enumerate()
        {
            let _ = write!(
                s,
                "        location {kind} {{\n            # the pool of this part\n            \
                 proxy_set_header Host $host;\n            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n            \
                 proxy_read_timeout 30s;\n            proxy_pass http://pool{};\n        }}\n",
                (i + j) % 100
            );
        }
        s.push_str("    }\n");
        i += 1;
    }
    s.push_str("}\n");
    s
}

fn locations() -> String {
    let mut s = "events {}\nhttp {\n    server {\n        listen 127.0.0.1:18080;\n".to_owned();
    for i in 0..100_000 {
        let _ = writeln!(s, "        location /area{}/part{i} {{ return 200 \"{i}\"; }}", i % 300);
    }
    s.push_str("    }\n}\n");
    s
}
