//! A check of the cloud's as Tengine's.

use super::super::model::Line;
use super::super::report::Class;
use super::{Cx, Node};

/// What a health check says, in seconds.
pub(super) struct Check<'n> {
    pub(super) at: &'n Node,
    pub(super) interval: u32,
    pub(super) timeout: u32,
    pub(super) rise: u32,
    pub(super) fall: u32,
    /// Method, path and host of a check over HTTP.
    pub(super) http: Option<(String, String, Option<String>)>,
    pub(super) port: Option<u32>,
    pub(super) classes: Vec<&'static str>,
    /// Every field that speaks of it.
    pub(super) said: Vec<&'n Node>,
}

impl Check<'_> {
    /// The lines of the upstream, and what becomes of the fields.
    pub(super) fn lines(self, cx: &mut Cx) -> Vec<Line> {
        let can = cx.can.check;
        for node in &self.said {
            if can {
                cx.ledger.exact(node, "");
            } else {
                cx.ledger.mark(
                    node,
                    Class::Dropped,
                    "needs \"check\"; failures of requests take a server out for 10 s",
                );
            }
        }
        let cite = Some(self.at.place);
        let ms = |s: u32| u64::from(s) * 1000;
        let mut words = vec![
            "check".to_owned(),
            format!("interval={}", ms(self.interval.max(1))),
            format!("rise={}", self.rise.max(1)),
            format!("fall={}", self.fall.max(1)),
            format!("timeout={}", ms(self.timeout.max(1))),
            // Servers are up until a check says otherwise.
            "default_down=false".to_owned(),
            format!("type={}", if self.http.is_some() { "http" } else { "tcp" }),
        ];
        words.extend(self.port.map(|p| format!("port={p}")));
        let mut out = vec![Line::new(cite, words).needs(can, "check")];
        if let Some((method, path, host)) = self.http {
            let host = host.map_or_else(String::new, |h| format!("Host: {h}\r\n"));
            let send = format!("{method} {path} HTTP/1.0\r\n{host}\r\n");
            out.push(Line::new(cite, ["check_http_send".to_owned(), send]).needs(can, "check"));
            let alive = std::iter::once("check_http_expect_alive").chain(self.classes);
            out.push(Line::new(cite, alive).needs(can, "check"));
        }
        out
    }
}

/// A method, path or host that can stand in a request's head.
pub(super) fn plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}
