//! Memory that a process shares with those it forks.

use std::io;
use std::ops::{Deref, Range};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Words, all 0 at first. A page costs nothing until it is written to.
#[derive(Debug)]
pub struct SharedMemory {
    at: NonNull<AtomicU64>,
    words: usize,
}

#[expect(unsafe_code, reason = "the memory is atomics only and belongs to the value until it is dropped")]
unsafe impl Send for SharedMemory {}

#[expect(unsafe_code, reason = "as above: a shared reference gives atomics")]
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    pub fn new(words: usize) -> io::Result<Self> {
        let bytes = words.checked_mul(8).filter(|n| *n > 0).ok_or(io::ErrorKind::InvalidInput)?;
        #[expect(unsafe_code, reason = "a new anonymous mapping, wherever the kernel puts it")]
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { at, words })
    }
}

impl Deref for SharedMemory {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        #[expect(unsafe_code, reason = "mapped for `words` zeroed words, aligned to a page, until the drop")]
        unsafe {
            std::slice::from_raw_parts(self.at.as_ptr(), self.words)
        }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "the mapping that `new` made; nothing borrows from it any more")]
        unsafe {
            libc::munmap(self.at.as_ptr().cast(), self.words * 8);
        }
    }
}

/// Some of the words, which keep the memory mapped. It costs a reader no more than a reference.
#[derive(Debug, Clone)]
pub struct SharedWords {
    /// Never read again: it keeps `at` valid.
    _memory: Owner,
    at: NonNull<AtomicU64>,
    words: usize,
}

#[derive(Debug, Clone)]
#[expect(dead_code, reason = "kept, not read")]
enum Owner {
    Mapped(Arc<SharedMemory>),
    Heap(Arc<[AtomicU64]>),
}

#[expect(unsafe_code, reason = "as `SharedMemory`, which it keeps")]
unsafe impl Send for SharedWords {}

#[expect(unsafe_code, reason = "as above")]
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// `None`: the memory has no such words.
    pub fn new(memory: &Arc<SharedMemory>, words: Range<usize>) -> Option<Self> {
        let slice = memory.get(words)?;
        let at = NonNull::from(slice).cast();
        Some(Self { at, words: slice.len(), _memory: Owner::Mapped(memory.clone()) })
    }

    /// Words of this process alone.
    pub fn alone(words: usize) -> Self {
        let memory: Arc<[AtomicU64]> = (0..words).map(|_| AtomicU64::new(0)).collect();
        Self { at: NonNull::from(&*memory).cast(), words, _memory: Owner::Heap(memory) }
    }
}

impl Deref for SharedWords {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        #[expect(unsafe_code, reason = "a part of the mapping, which lives as long as the value")]
        unsafe {
            std::slice::from_raw_parts(self.at.as_ptr(), self.words)
        }
    }
}
