//! The process.

use super::super::model::Line as Out;
use super::Cx;
use super::read::Section;

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

pub(super) fn convert(cx: &mut Cx, section: &Section) {
    if let Some(head) = &section.head {
        cx.account.exact(head, "");
    }
    for line in &section.lines {
        let cite = Some(line.place);
        let number =
            line.word(1).parse::<u32>().ok().filter(|n| (1..=1024).contains(n)).map(|n| n.to_string());
        match (line.word(0), number) {
            ("daemon", _) => cx.account.exact(line, "a daemon unless told otherwise"),
            ("nbthread" | "nbproc", Some(n)) => {
                cx.account.exact(line, "");
                cx.model.main.retain(|l| l.words.first().is_none_or(|w| w != "worker_processes"));
                cx.model.main.push(Out::new(cite, ["worker_processes", &n]));
            }
            ("pidfile", _) if !line.word(1).is_empty() && !line.word(1).contains('$') => {
                cx.account.exact(line, "");
                cx.model.main.retain(|l| l.words.first().is_none_or(|w| w != "pid"));
                cx.model.main.push(Out::new(cite, ["pid", line.word(1)]));
            }
            ("maxconn", _) if line.word(1).parse::<u32>().is_ok_and(|n| n > 0) => {
                cx.account.approximated(line, "of each worker, its connections to servers counted too");
                cx.model.events.retain(|l| l.words.first().is_none_or(|w| w != "worker_connections"));
                let connections = line.word(1).parse::<u32>().unwrap_or(u32::MAX).saturating_mul(2).max(64);
                cx.model.events.push(Out::new(cite, ["worker_connections", &connections.to_string()]));
            }
            ("user", _) if is_name(line.word(1)) => {
                let group = section.lines.iter().rev().find(|l| l.word(0) == "group").map(|l| l.word(1));
                let mut words = vec!["user", line.word(1)];
                words.extend(group.filter(|g| is_name(g)));
                cx.model.main.retain(|l| l.words.first().is_none_or(|w| w != "user"));
                cx.model.main.push(Out::new(cite, words));
                cx.account.exact(line, "must exist where tenrec starts as root");
            }
            ("group", _) if is_name(line.word(1)) && section.lines.iter().any(|l| l.word(0) == "user") => {
                cx.account.exact(line, "with \"user\"");
            }
            ("user" | "group" | "uid" | "gid", _) => {
                cx.account.dropped(line, "say \"user\" for this machine")
            }
            ("chroot", _) => cx.account.dropped(line, "no chroot: confine the service where it is started"),
            ("ulimit-n", Some(_)) => cx.account.exact(line, "tenrec takes what the system allows"),
            (
                "ulimit-n"
                | "cpu-map"
                | "numa-cpu-mapping"
                | "spread-checks"
                | "master-worker"
                | "quiet"
                | "debug"
                | "node"
                | "description"
                | "default-path"
                | "zero-warning"
                | "strict-limits"
                | "noepoll"
                | "maxconnrate"
                | "maxpipes"
                | "localpeer"
                | "presetenv"
                | "setenv"
                | "hard-stop-after"
                | "server-state-base"
                | "server-state-file"
                | "expose-experimental-directives"
                | "set-dumpable"
                | "fd-hard-limit"
                | "thread-groups",
                _,
            ) => {
                cx.account.approximated(line, "a matter of the process, which tenrec sees to itself");
            }
            ("log", _) => super::logs::global(cx, line),
            ("log-tag" | "log-send-hostname", _) => {
                cx.account.approximated(line, "said in \"access_log syslog:…\": tag=, nohostname");
            }
            ("stats", _) if line.word(1) == "socket" && line.word(2).starts_with('/') => {
                cx.account.approximated(
                    line,
                    "\"control\" is a socket of tenrec's own beside the pid file; see \"tenrec peers\"",
                );
                cx.model.main.retain(|l| l.words.first().is_none_or(|w| w != "control"));
                cx.model.main.push(Out::new(cite, ["control", "on"]));
            }
            ("stats", _) if matches!(line.word(1), "timeout" | "maxconn") => {
                cx.account.exact(line, "of HAProxy's socket")
            }
            ("stats", _) => cx.account.dropped(line, "no socket for commands"),
            (word, _)
                if word.starts_with("ssl-")
                    || matches!(word, "crt-base" | "ca-base" | "tune.ssl.default-dh-param") =>
            {
                super::tls::global(cx, line);
            }
            (word, _) if word.starts_with("tune.") => {
                cx.account.approximated(line, "a setting of HAProxy's own memory")
            }
            _ => {}
        }
    }
}
