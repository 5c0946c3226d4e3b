//! `check_status`: what the health checks know of every peer.

use super::phases::{Next, discard, send, send_text};
use super::{Request, ThreadState};
use crate::diag::Severity;
use crate::health::{Page, Row};
use crate::plan::{Plan, StatusFormat, UpstreamId};
use crate::vars;
use crate::wire::{Method, ServerConn};
use crate::zone::{Health, Slot};

use super::context::Bytes;

/// What the page is made of besides the plan.
#[derive(Default)]
pub struct Checks {
    /// The slots of the plan's `checked`, in its order.
    pub slots: Vec<Slot>,
    /// How often the configuration was read.
    pub generation: u64,
    /// The checked peers that names have brought, behind those; `None`: no name brings any.
    pub live: Option<Box<dyn Fn() -> Vec<LivePeer>>>,
}

/// A checked peer that is not the plan's.
#[derive(Debug, Clone)]
pub struct LivePeer {
    pub upstream: UpstreamId,
    pub name: Box<str>,
    pub slot: Slot,
}

/// Peers of one state only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Only {
    Up,
    Down,
}

pub(super) async fn check_status(
    req: &mut Request,
    conn: &mut ServerConn,
    thread: &ThreadState,
    format: StatusFormat,
) -> Next {
    if !matches!(req.method(), Method::Get | Method::Head) {
        return Next::Status(405);
    }
    let (mut format, mut only) = (format, None);
    if let Some(value) = vars::arg(&req.args, b"format") {
        match StatusFormat::of(value) {
            Some(named) => format = named,
            None => bad_argument(req, thread, value),
        }
    }
    if let Some(value) = vars::arg(&req.args, b"status") {
        match value.to_ascii_lowercase().as_slice() {
            b"down" => only = Some(Only::Down),
            b"up" => only = Some(Only::Up),
            _ => bad_argument(req, thread, value),
        }
    }
    let live = thread.checks.live.as_ref().map(|live| live()).unwrap_or_default();
    let text = page(&req.plan, &thread.checks, &live, only).write(format);
    let content_type = Page::content_type(format).as_bytes();
    if req.method() == Method::Head {
        // Tengine says no length here.
        if let Err(next) = discard(req, conn, thread).await {
            return next;
        }
        req.out.status = 200;
        req.out.content_type.extend_from_slice(content_type);
        return send(req, conn, thread, b"").await;
    }
    send_text(req, conn, thread, 200, Some(content_type), text.as_bytes()).await
}

fn bad_argument(req: &Request, thread: &ThreadState, value: &[u8]) {
    thread.log_error(
        req,
        Severity::Error,
        format_args!("http upstream check, bad argument: \"{}\"", Bytes(value)),
    );
}

fn page<'a>(plan: &'a Plan, checks: &Checks, live: &'a [LivePeer], only: Option<Only>) -> Page<'a> {
    let fixed = plan.checked.iter().zip(&checks.slots).map(|(checked, slot)| {
        let peer = plan.upstreams.get(checked.upstream.ix()).and_then(|u| u.peers.get(checked.peer.ix()));
        (checked.upstream, peer.map_or("", |p| &*p.name), slot)
    });
    let brought = live.iter().map(|l| (l.upstream, &*l.name, &l.slot));
    let row = |(index, (upstream, name, slot)): (usize, (UpstreamId, &'a str, &Slot))| {
        let upstream = plan.upstreams.get(upstream.ix())?;
        let (check, probe) = (upstream.check.as_ref()?, slot.probe());
        Some(Row {
            index,
            upstream: &upstream.name,
            name,
            down: probe.health == Health::Down,
            rise: probe.rise,
            fall: probe.fall,
            kind: check.kind.name(),
            port: check.port,
        })
    };
    let rows = fixed.chain(brought).enumerate().filter_map(row);
    let wanted = |row: &Row<'_>| only.is_none_or(|o| row.down == (o == Only::Down));
    Page { generation: checks.generation, rows: rows.filter(wanted).collect() }
}
