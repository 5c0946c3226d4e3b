//! The part of an answer that waits for a slow client: in memory first, then in an unnamed temporary file.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes between a fast peer and a slow client, in order.
///
/// Memory is filled first; once it is full everything that follows goes to the file, until the client has caught up
/// with both.
#[derive(Debug, Default)]
pub struct Spill {
    memory: VecDeque<u8>,
    memory_limit: usize,
    file_limit: u64,
    file: Option<File>,
    read_at: u64,
    write_at: u64,
}

impl Spill {
    /// `file_limit` 0: no file (`proxy_max_temp_file_size 0`).
    pub fn new(memory_limit: usize, file_limit: u64) -> Self {
        Self { memory_limit, file_limit, ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.in_file() == 0
    }

    fn in_file(&self) -> u64 {
        self.write_at - self.read_at
    }

    /// Whether more may be read from the peer.
    pub fn has_room(&self) -> bool {
        self.memory.len() < self.memory_limit || self.write_at < self.file_limit
    }

    /// True once, when the next push is the first that goes to a file.
    pub fn will_spill(&self, more: usize) -> bool {
        self.file.is_none() && self.file_limit > 0 && self.memory.len() + more > self.memory_limit
    }

    pub fn push(&mut self, bytes: &[u8], temp_dir: &Path) -> io::Result<()> {
        let to_file = self.in_file() > 0
            || (self.memory.len() + bytes.len() > self.memory_limit && self.write_at < self.file_limit);
        if !to_file {
            self.memory.extend(bytes);
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(unnamed_file(temp_dir)?),
        };
        file.write_all_at(bytes, self.write_at)?;
        self.write_at += bytes.len() as u64;
        Ok(())
    }

    /// The next bytes for the client; empty when there are none. Call `consume` with what was taken.
    pub fn front(&mut self) -> io::Result<&[u8]> {
        if self.memory.is_empty() && self.in_file() > 0 {
            self.refill()?;
        }
        Ok(self.memory.as_slices().0)
    }

    fn refill(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let want = usize::try_from(self.in_file()).unwrap_or(usize::MAX).min(self.memory_limit.max(4096));
        let mut block = vec![0; want];
        file.read_exact_at(&mut block, self.read_at)?;
        self.read_at += want as u64;
        if self.read_at == self.write_at {
            // The client caught up: the file is used again from its start.
            (self.read_at, self.write_at) = (0, 0);
            file.set_len(0)?;
        }
        self.memory = block.into();
        Ok(())
    }

    pub fn consume(&mut self, n: usize) {
        self.memory.drain(..n.min(self.memory.len()));
    }
}

/// A file that is gone when it is closed, whatever happens.
fn unnamed_file(dir: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut open = File::options();
    open.read(true).write(true).mode(0o600);
    match open.clone().custom_flags(libc::O_TMPFILE).open(dir) {
        // Not every file system has unnamed files.
        Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR)) => {}
        other => return other,
    }
    let name = dir.join(format!("spill-{}-{:x}", std::process::id(), rand::random::<u64>()));
    let file = open.create_new(true).open(&name)?;
    std::fs::remove_file(&name)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(s: &mut Spill, limit: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < limit {
            let n = {
                let front = s.front().unwrap();
                let n = front.len().min(limit - out.len()).min(7);
                out.extend_from_slice(&front[..n]);
                n
            };
            if n == 0 {
                break;
            }
            s.consume(n);
        }
        out
    }

    #[test]
    fn bytes_come_back_in_order_through_memory_and_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut s = Spill::new(100, 10_000);
        let all: Vec<u8> = (0..5000u32).map(|i| (i % 251) as u8).collect();
        let mut out = Vec::new();
        for part in all.chunks(33) {
            s.push(part, dir.path()).unwrap();
            if out.len() % 2 == 0 {
                out.extend(drain(&mut s, 11));
            }
        }
        out.extend(drain(&mut s, usize::MAX));
        assert!(out == all);
        assert!(s.is_empty());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing stays behind");
    }

    #[test]
    fn without_a_file_the_peer_waits() {
        let mut s = Spill::new(10, 0);
        assert!(s.has_room());
        s.push(b"0123456789", Path::new("/nonexistent")).unwrap();
        assert!(!s.has_room());
        s.consume(1);
        assert!(s.has_room());
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let mut s = Spill::new(1, 100);
        assert!(s.push(b"too long", Path::new("/nonexistent")).is_err());
    }
}
