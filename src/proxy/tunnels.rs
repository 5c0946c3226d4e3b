//! The tunnels of a thread: one to a peer that its operator takes down is told to end.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::thread::ProxyThread;
use crate::rt::clock;
use crate::zone::{Operator, Slot};

/// How late a tunnel may be told.
const EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Default)]
pub(super) struct Tunnels {
    open: RefCell<Vec<(u64, Slot, Rc<Notify>)>>,
    next: Cell<u64>,
    watched: Cell<bool>,
}

/// A tunnel's entry, until it is dropped.
pub(super) struct Seat {
    thread: Rc<ProxyThread>,
    id: u64,
    pub(super) stop: Rc<Notify>,
}

impl Seat {
    pub(super) fn new(thread: &Rc<ProxyThread>, slot: Slot) -> Self {
        let tunnels = &thread.tunnels;
        let (id, stop) = (tunnels.next.get(), Rc::new(Notify::new()));
        tunnels.next.set(id + 1);
        tunnels.open.borrow_mut().push((id, slot, stop.clone()));
        if !tunnels.watched.replace(true) {
            tokio::task::spawn_local(watch(Rc::downgrade(thread)));
        }
        Self { thread: thread.clone(), id, stop }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.thread.tunnels.open.borrow_mut();
        // They were pushed in the order of their numbers.
        if let Ok(at) = open.binary_search_by_key(&self.id, |t| t.0) {
            open.remove(at);
        }
    }
}

impl Tunnels {
    /// `false`: there is none.
    fn look(&self, now: u64) -> bool {
        for (_, slot, stop) in &*self.open.borrow() {
            slot.expire(now);
            if slot.operator(now).0 == Operator::Down {
                stop.notify_one();
            }
        }
        !self.open.borrow().is_empty()
    }
}

/// Runs while tunnels are open.
async fn watch(thread: Weak<ProxyThread>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(thread) = thread.upgrade() else { return };
        if !thread.tunnels.look(clock::unix_millis()) {
            thread.tunnels.watched.set(false);
            return;
        }
    }
}
