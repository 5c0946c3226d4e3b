//! Memory that a process shares with those it forks.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::os::fd::AsRawFd as _;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::memory_file;

/// Words, all 0 at first. A page costs nothing until it is written to.
#[derive(Debug)]
pub struct SharedMemory {
    at: NonNull<AtomicU64>,
    words: usize,
    /// The file in memory that it is, where it can be inherited by another program.
    file: Option<File>,
}

#[expect(unsafe_code, reason = "the memory is atomics only and belongs to the value until it is dropped")]
unsafe impl Send for SharedMemory {}

#[expect(unsafe_code, reason = "as above: a shared reference gives atomics")]
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    pub fn new(words: usize) -> io::Result<Self> {
        Self::map(words, None)
    }

    /// The same as a file, which a program that this process executes can map, too.
    pub fn inheritable(name: &CStr, words: usize) -> io::Result<Self> {
        let Ok(file) = memory_file(name) else { return Self::new(words) };
        file.set_len(size(words)? as u64)?;
        Self::map(words, Some(file))
    }

    /// What another program made by [`Self::inheritable`] for as many words; it stays one memory.
    pub fn inherited(file: File, words: usize) -> io::Result<Self> {
        if file.metadata()?.len() != size(words)? as u64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Self::map(words, Some(file))
    }

    pub fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    fn map(words: usize, file: Option<File>) -> io::Result<Self> {
        let bytes = size(words)?;
        let (kind, fd) = match &file {
            None => (libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1),
            Some(file) => (libc::MAP_SHARED, file.as_raw_fd()),
        };
        #[expect(
            unsafe_code,
            reason = "a new mapping, wherever the kernel puts it; the file has as many bytes and nobody cuts it"
        )]
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, kind, fd, 0)
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { at, words, file })
    }
}

fn size(words: usize) -> io::Result<usize> {
    Ok(words.checked_mul(8).filter(|n| *n > 0).ok_or(io::ErrorKind::InvalidInput)?)
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
