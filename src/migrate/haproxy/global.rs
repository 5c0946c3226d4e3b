//! The process.

use super::super::model::Line as Out;
use super::Cx;
use super::read::Section;

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
            ("user" | "group" | "uid" | "gid", _) => {
                cx.account.dropped(line, "say \"user\" for this machine")
            }
            ("chroot", _) => cx.account.dropped(line, "no chroot"),
            ("log" | "log-tag" | "log-send-hostname", _) => {
                cx.account.dropped(line, "HAProxy's log lines have no counterpart; say \"access_log\"");
            }
            ("stats", _) => cx.account.dropped(line, "no socket for commands"),
            (word, _) if word.starts_with("ssl-") || word.ends_with("-base") => {
                cx.account.dropped(line, "needs TLS");
            }
            (word, _) if word.starts_with("tune.") => {
                cx.account.dropped(line, "a setting of HAProxy's own memory")
            }
            _ => {}
        }
    }
}
