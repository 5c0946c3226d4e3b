//! Read buffers. A connection that waits for its next request holds none: it gives it to the thread's pool.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

use super::Stream;

/// What a connection reads into.
const SMALL: usize = 16 * 1024;
/// What it reads into after a read that filled the small one.
const LARGE: usize = 64 * 1024;
/// How many of each a thread keeps.
const KEPT: usize = 64;

thread_local! {
    static POOL: RefCell<[Vec<Vec<u8>>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// A buffer of `size` bytes, all of them initialised.
fn take(size: usize) -> Vec<u8> {
    POOL.with_borrow_mut(|pool| pool[usize::from(size == LARGE)].pop()).unwrap_or_else(|| vec![0; size])
}

fn give(data: Vec<u8>) {
    let class = match data.len() {
        SMALL => 0,
        LARGE => 1,
        _ => return,
    };
    POOL.with_borrow_mut(|pool| {
        if pool[class].len() < KEPT {
            pool[class].push(data);
        }
    });
}

/// Bytes that were read and not taken yet.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    data: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read filled all there was.
    full: bool,
}

impl Buffer {
    #[inline]
    pub(super) fn filled(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The first `n` bytes are done with.
    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.end - self.start, "what is consumed was read");
        self.start = (self.start + n).min(self.end);
    }

    /// Gives the memory back when nothing is in it.
    pub(super) fn release(&mut self) {
        if self.is_empty() && !self.data.is_empty() {
            give(std::mem::take(&mut self.data));
            (self.start, self.end) = (0, 0);
        }
    }

    /// Reads more; 0 is the end of the stream. The buffer grows when it is full.
    pub(super) fn poll_fill(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.make_room();
        let space = &mut self.data[self.end..];
        let len = space.len();
        let n = ready!(stream.poll_read(cx, space))?;
        self.full = n == len;
        self.end += n;
        Poll::Ready(Ok(n))
    }

    /// Adds what was read elsewhere.
    pub(super) fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.make_room();
            let space = &mut self.data[self.end..];
            let (now, later) = bytes.split_at(bytes.len().min(space.len()));
            space[..now.len()].copy_from_slice(now);
            self.end += now.len();
            bytes = later;
        }
    }

    /// There is no space left that costs no memory.
    pub(super) fn is_full(&self) -> bool {
        self.start == 0 && self.end == self.data.len() && self.end > 0
    }

    fn make_room(&mut self) {
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
            if self.data.is_empty() {
                self.data = take(SMALL);
            } else if self.full && self.data.len() < LARGE {
                give(std::mem::replace(&mut self.data, take(LARGE)));
            }
        } else if self.end == self.data.len() {
            if self.start > 0 {
                self.data.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                let mut grown =
                    if self.data.len() < LARGE { take(LARGE) } else { vec![0; self.data.len() * 2] };
                grown[..self.end].copy_from_slice(&self.data);
                give(std::mem::replace(&mut self.data, grown));
            }
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        (self.start, self.end) = (0, 0);
        self.release();
    }
}
