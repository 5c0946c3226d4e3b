//! What happens to an answer: its head and its body on their way to the client.

use super::answer::AnswerPlan;
use super::destination::Choice;
use super::exchange::{Exchange, Outcome};
use super::relay::{End, Relay, Settings};
use super::report::{Action, Os, read_failed};
use super::session::Moment;
use super::tunnels::Seat;
use crate::balance::Outcome as Ending;
use crate::diag::Severity;
use crate::http::respond;
use crate::plan::{Location, PeerId, Proxy};
use crate::vars;
use crate::wire::parse::parse_trailers;
use crate::wire::{BodyError, ClientConn, KnownField, TunnelEnd, tunnel_until};

/// A peer's body, as far as it came.
struct Received<'a> {
    relay: Relay<'a>,
    end: End,
}

impl<'a> Exchange<'a> {
    /// The peer's answer is the one the client gets, or it says who else is to answer.
    pub(super) async fn answered(
        &mut self,
        mut link: Box<ClientConn>,
        choice: &mut Choice<'_>,
        peer: Option<PeerId>,
    ) -> Outcome {
        let status = self.req.upstream_head.status;
        let outcome = match self.instead(status, peer) {
            Some(outcome) => Some(outcome),
            None => self.head(peer).err().map(Outcome::Error),
        };
        match outcome {
            Some(outcome) => {
                self.note_session(peer);
                self.settle(link, choice, peer);
                outcome
            }
            None if self.req.upstream_head.upgrade && self.asked_for_upgrade() => {
                self.tunnel(&mut link, peer).await;
                self.settle(link, choice, peer);
                Outcome::Done
            }
            None if self.req.header_only => {
                // What the peer sends although nobody wants it is not read.
                self.settle(link, choice, peer);
                self.finish().await;
                Outcome::Done
            }
            None => {
                let received = self.receive(&mut link).await;
                // The peer is free for others while a slow client takes its time.
                self.settle(link, choice, peer);
                self.deliver(received).await;
                Outcome::Done
            }
        }
    }

    /// The exchange with the peer is over: its connection is kept, or closed.
    fn settle(&mut self, link: Box<ClientConn>, choice: &mut Choice<'_>, peer: Option<PeerId>) {
        let status = self.req.upstream_head.status;
        self.end_attempt(Some(&link), status);
        self.learn(peer, Moment::End);
        choice.finish(Ending::Done, self.req.attempts.last());
        let Err(link) = self.keep(link, peer) else { return };
        if link.has_excess() && self.out.sent_all && status != 101 {
            let text = "upstream sent more data than specified in \"Content-Length\" header";
            self.log(Severity::Warn, Action::ReadingBody, format_args!("{text}"));
        }
    }

    /// Keeps the connection for another exchange; `Err`: it cannot serve one.
    pub(super) fn keep(&self, link: Box<ClientConn>, peer: Option<PeerId>) -> Result<(), Box<ClientConn>> {
        match (self.upstream, self.of, peer) {
            (Some(upstream), Some(of), Some(peer))
                if self.out.sent_all && link.is_reusable() && !self.thread.draining() =>
            {
                let tls = self.secure.as_ref().map(|s| &s.who);
                self.mine.keep(upstream, of, peer, self.req.loc, tls, link);
                Ok(())
            }
            _ => Err(link),
        }
    }

    fn asked_for_upgrade(&self) -> bool {
        self.req.head.get(KnownField::Upgrade).is_some()
    }

    fn location(&self) -> Option<&Location> {
        self.plan.locations.get(self.req.loc.ix())
    }

    /// Who answers instead of the peer: an error page, or what `X-Accel-Redirect` names.
    fn instead(&mut self, status: u16, peer: Option<PeerId>) -> Option<Outcome> {
        if status >= 300
            && self.proxy.intercept_errors
            && self.location().is_some_and(|l| l.error_pages.iter().any(|e| e.status == status))
        {
            if status == 401 {
                let head = &self.req.upstream_head;
                for (name, value, _) in head.iter().filter(|f| f.2 == KnownField::WwwAuthenticate) {
                    self.req.out.push(name, value);
                }
            }
            return Some(Outcome::Error(status));
        }
        self.learn(peer, Moment::Head);
        let to = self.made.answer.redirect(&self.req.upstream_head)?.to_vec();
        let mut out = std::mem::take(&mut self.req.out);
        AnswerPlan::keep_for_redirect(&self.req.upstream_head, &mut out);
        self.req.out = out;
        Some(Outcome::Redirect(to))
    }

    /// Puts the head into the client's output buffer; `Err`: a filter made it an error of this status.
    fn head(&mut self, peer: Option<PeerId>) -> Result<(), u16> {
        self.fill_head(peer);
        if let Some(rate) = self.made.answer.orders(&self.req.upstream_head).limit_rate {
            self.req.limit_rate = Some(rate);
        }
        respond::send_head(self.req, self.conn, self.thread)
    }

    /// Reads the peer's body, and passes on of it what the client takes meanwhile.
    async fn receive(&mut self, link: &mut ClientConn) -> Received<'a> {
        self.out.action = Action::ReadingBody;
        let orders = self.made.answer.orders(&self.req.upstream_head);
        let buffering = orders.buffering.unwrap_or(self.proxy.buffering);
        let proxy: &'a Proxy = self.proxy;
        let settings = Settings {
            buffering,
            memory: proxy.buffers.0.saturating_mul(proxy.buffers.1).max(proxy.buffer_size),
            file: proxy.max_temp_file_size,
            temp_path: &proxy.temp_path,
            read_timeout: proxy.read_timeout,
            send_timeout: self.req.location().send_timeout,
            rate: if buffering { self.rate() } else { 0 },
            watched: !proxy.ignore_client_abort && self.out.sent_all,
            chunked: self.req.chunked,
            no_delay: self.req.location().tcp_nodelay,
        };
        let mut relay = Relay::new(settings, self.req.transform.take());
        let end = relay.run(self.conn, link, &mut self.out.timer).await;
        if relay.spilled {
            let path = proxy.temp_path.display();
            let text = format_args!("an upstream response is buffered to a temporary file in {path}");
            self.log(Severity::Warn, Action::ReadingBody, text);
        }
        if let Some(attempt) = self.attempt() {
            attempt.response_length = link.body_bytes();
        }
        self.trailers(link);
        Received { relay, end }
    }

    /// Sends the client what it has not taken yet, and ends the answer.
    async fn deliver(&mut self, received: Received<'_>) {
        let Received { mut relay, end } = received;
        let reachable =
            !matches!(end, End::Client(_) | End::ClientTimeout | End::ClientClosed | End::Transform(_));
        if !matches!(end, End::Whole) {
            self.report_break(&end);
        }
        if reachable && let Err(end) = relay.drain(self.conn, &mut self.out.timer).await {
            return self.report_break(&end);
        }
        self.req.transform = relay.transform.take();
        match end {
            End::Whole => self.finish().await,
            _ if reachable => {
                let _ = respond::flush(self.req, self.conn).await;
            }
            _ => {}
        }
    }

    /// `proxy_pass_trailers`: the peer's trailer fields become the client's.
    fn trailers(&mut self, link: &ClientConn) {
        let section = link.trailers();
        if !self.proxy.pass_trailers || section.is_empty() {
            return;
        }
        let mut fields = Vec::new();
        parse_trailers(section, &mut fields);
        let trailers = self.req.trailers.get_or_insert_default();
        for field in &fields {
            let (name, value) = (field.name.of(section), field.value.of(section));
            trailers.upstream.push(name, value);
            if !self.made.answer.hides(field.id, name) {
                trailers.sent.push(name, value);
            }
        }
    }

    /// `proxy_limit_rate`: bytes a second, 0: no limit.
    fn rate(&self) -> u64 {
        let Some(template) = &self.proxy.limit_rate else { return 0 };
        crate::values::size(&vars::eval_to_vec(template, self.req)).unwrap_or(0)
    }

    async fn finish(&mut self) {
        if respond::finish(self.req, self.conn).await.is_err() {
            self.req.keepalive = false;
        }
    }

    /// The answer cannot be completed: the connection is closed without a last chunk, so that the client can tell.
    fn report_break(&mut self, end: &End) {
        self.req.keepalive = false;
        let (reading, writing) = (Action::ReadingBody, Action::ToClient);
        let timed_out = "timed out (110: Connection timed out)";
        match end {
            End::Whole => {}
            End::Upstream(BodyError::Closed) => {
                self.log(Severity::Error, reading, format_args!("upstream prematurely closed connection"));
            }
            End::Upstream(BodyError::Invalid) => {
                self.log(Severity::Error, reading, format_args!("upstream sent invalid chunked response"));
            }
            End::Upstream(BodyError::Io(e)) => {
                let (level, text) = read_failed(e, self.secure.is_some(), "readv");
                self.log(level, reading, format_args!("{text}"));
            }
            End::Upstream(BodyError::Timeout) | End::UpstreamTimeout => {
                self.log(Severity::Error, reading, format_args!("upstream {timed_out}"));
            }
            End::Transform(e) => {
                self.log(Severity::Error, writing, format_args!("{e}"));
            }
            End::Spill(e) => {
                self.log(Severity::Crit, reading, format_args!("pwrite() failed {}", Os(e)));
            }
            End::Client(e) => {
                self.log(Severity::Info, writing, format_args!("writev() failed {}", Os(e)));
            }
            End::ClientTimeout => {
                self.log(Severity::Info, writing, format_args!("client {timed_out}"));
            }
            End::ClientClosed => {
                self.client_left();
            }
        }
    }

    /// Bytes both ways until one side closes, or nothing moves for `proxy_read_timeout`.
    /// Also the operator's word ends it, when it takes the peer down.
    async fn tunnel(&mut self, link: &mut ClientConn, peer: Option<PeerId>) {
        self.req.keepalive = false;
        self.out.action = Action::Upgraded;
        self.conn.no_delay();
        link.stream().set_nodelay(true).ok();
        if respond::flush(self.req, self.conn).await.is_err() {
            return;
        }
        self.conn.set_pace(None);
        let slot = || self.of?.shared.slot(peer?).cloned();
        let seat = slot().map(|slot| Seat::new(self.mine, slot));
        let websocket =
            self.req.head.get(KnownField::Upgrade).is_some_and(|u| u.eq_ignore_ascii_case(b"websocket"));
        let stop = async {
            match &seat {
                Some(seat) => seat.stop.notified().await,
                None => std::future::pending().await,
            }
        };
        match tunnel_until(self.conn, link, self.proxy.read_timeout, websocket, stop).await {
            TunnelEnd::Closed => self.req.completed = true,
            TunnelEnd::Stopped => {
                self.req.completed = true;
                let text = "upstream server was taken down, the upgraded connection is closed";
                self.log(Severity::Notice, Action::Upgraded, format_args!("{text}"));
            }
            TunnelEnd::Idle => {
                let text = "upstream timed out (110: Connection timed out)";
                self.log(Severity::Error, Action::Upgraded, format_args!("{text}"));
            }
            TunnelEnd::Client(e) | TunnelEnd::Upstream(e) => {
                self.log(Severity::Info, Action::Upgraded, format_args!("recv() failed {}", Os(&e)));
            }
        }
    }
}
