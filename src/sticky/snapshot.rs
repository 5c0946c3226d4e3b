//! A table as a file, so that sessions outlive a restart.
//!
//! All numbers are little-endian, each part ends with its CRC-32:
//!
//! ```text
//! head   "tenrec sessions\n", version (u32), milliseconds since 1970 (u64), length of the zone's name (u16), the name
//! block  sessions in it (u32, not 0), bytes of them (u32), them: MD5 of the name (16), milliseconds of the last use
//!        (u64), length of the peer's value (u8), the value; as many blocks as it takes
//! end    0 (u32), sessions in all (u64), CRC-32 of all blocks' sessions (u32)
//! ```
//!
//! Whatever is not as it should be ends the reading; the blocks before it hold.

use std::io::{self, Read, Write};
use std::time::Duration;

use super::table::{Key, SID_LEN, Session, Sid, Table};

const MAGIC: &[u8; 16] = b"tenrec sessions\n";
const VERSION: u32 = 1;
/// Bytes of a session: its name, time and the length of its value, and the longest value.
const LEAST: usize = 16 + 8 + 1;
const MOST: usize = LEAST + SID_LEN;
/// Sessions of a block at most: those of a part of the table.
const BLOCK: usize = super::table::PART;

/// What tells two tables apart: how many sessions there are, and a checksum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest {
    pub sessions: u64,
    crc: u32,
}

impl Digest {
    /// Bytes of a file's end.
    pub const LEN: usize = 20;

    /// Of the last [`Self::LEN`] bytes of a file; `None`: that is no end.
    pub fn of_end(end: &[u8]) -> Option<Self> {
        let (body, crc) = end.split_at_checked(Self::LEN - 4)?;
        let good = crc == crc32fast::hash(body).to_le_bytes() && body.starts_with(&[0; 4]);
        let sessions = u64::from_le_bytes(*body.get(4..)?.first_chunk()?);
        let crc = u32::from_le_bytes(*body.get(12..)?.first_chunk()?);
        good.then_some(Self { sessions, crc })
    }

    fn end(self) -> [u8; Self::LEN] {
        let mut end = [0; Self::LEN];
        end[4..12].copy_from_slice(&self.sessions.to_le_bytes());
        end[12..16].copy_from_slice(&self.crc.to_le_bytes());
        let crc = crc32fast::hash(&end[..16]);
        end[16..].copy_from_slice(&crc.to_le_bytes());
        end
    }
}

/// Why a file was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    #[error("it is no file of sessions")]
    Foreign,
    #[error("it is of version {0}, which this program does not know")]
    Version(u32),
    #[error("it is truncated")]
    Truncated,
    #[error("its checksum is wrong")]
    Corrupt,
    #[error("read() failed ({0})")]
    Io(io::Error),
}

/// Writes the sessions of a table that were used within `timeout`. `now` is milliseconds since 1970.
pub fn write_snapshot(
    zone: &str,
    table: &Table,
    now: u64,
    timeout: Duration,
    out: &mut impl Write,
) -> io::Result<Digest> {
    let name = &zone.as_bytes()[..zone.len().min(usize::from(u16::MAX))];
    let mut head = Vec::with_capacity(64);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&now.to_le_bytes());
    head.extend_from_slice(&(name.len() as u16).to_le_bytes());
    head.extend_from_slice(name);
    head.extend_from_slice(&crc32fast::hash(&head).to_le_bytes());
    out.write_all(&head)?;
    let mut all = crc32fast::Hasher::new();
    let (mut sessions, mut block) = (0, Vec::with_capacity(BLOCK * MOST));
    for part in 0..table.parts() {
        let list = table.part(part, now, timeout);
        if list.is_empty() {
            continue;
        }
        block.clear();
        for session in &list {
            let (sid, len) = session.sid.text();
            block.extend_from_slice(&session.key.to_bytes());
            block.extend_from_slice(&session.used.to_le_bytes());
            block.push(len as u8);
            block.extend_from_slice(&sid[..len]);
        }
        all.update(&block);
        sessions += list.len() as u64;
        out.write_all(&(list.len() as u32).to_le_bytes())?;
        out.write_all(&(block.len() as u32).to_le_bytes())?;
        out.write_all(&block)?;
        out.write_all(&crc32fast::hash(&block).to_le_bytes())?;
    }
    let digest = Digest { sessions, crc: all.finalize() };
    out.write_all(&digest.end())?;
    Ok(digest)
}

/// Puts the sessions of a file into a table: how many there is now, and why it ended before its end, if it did.
/// Those that were not used for `timeout` are over.
pub fn read_snapshot(
    input: &mut impl Read,
    table: &Table,
    now: u64,
    timeout: Duration,
) -> (u64, Option<Lost>) {
    let mut restored = 0;
    let lost = read(input, |session| restored += u64::from(table.restore(session, now, timeout))).err();
    (restored, lost)
}

fn read(input: &mut impl Read, mut each: impl FnMut(Session)) -> Result<(), Lost> {
    let mut head = [0; 16 + 4 + 8 + 2];
    fill(input, &mut head).map_err(|e| if let Lost::Truncated = e { Lost::Foreign } else { e })?;
    if !head.starts_with(MAGIC) {
        return Err(Lost::Foreign);
    }
    let version = u32::from_le_bytes(number(&head[16..]));
    if version != VERSION {
        return Err(Lost::Version(version));
    }
    let mut name = vec![0; usize::from(u16::from_le_bytes(number(&head[28..])))];
    fill(input, &mut name)?;
    let crc = crc32fast::hash(&[&head[..], &name].concat());
    if u32::from_le_bytes(take(input)?) != crc {
        return Err(Lost::Corrupt);
    }
    let (mut all, mut sessions, mut block) = (crc32fast::Hasher::new(), 0, Vec::new());
    loop {
        let count = u32::from_le_bytes(take(input)?) as usize;
        if count == 0 {
            let rest: [u8; Digest::LEN - 4] = take(input)?;
            let digest = Digest::of_end(&[&[0; 4][..], &rest].concat()).ok_or(Lost::Corrupt)?;
            let same = digest == Digest { sessions, crc: all.finalize() };
            return if same { Ok(()) } else { Err(Lost::Corrupt) };
        }
        let len = u32::from_le_bytes(take(input)?) as usize;
        if count > BLOCK || !(count * LEAST..=count * MOST).contains(&len) {
            return Err(Lost::Corrupt);
        }
        block.resize(len, 0);
        fill(input, &mut block)?;
        if u32::from_le_bytes(take(input)?) != crc32fast::hash(&block) {
            return Err(Lost::Corrupt);
        }
        all.update(&block);
        sessions += count as u64;
        let mut rest = &block[..];
        for _ in 0..count {
            let (session, after) = session(rest).ok_or(Lost::Corrupt)?;
            rest = after;
            each(session);
        }
    }
}

fn session(bytes: &[u8]) -> Option<(Session, &[u8])> {
    let (md5, rest) = bytes.split_first_chunk()?;
    let (used, rest) = rest.split_first_chunk()?;
    let (len, rest) = rest.split_first()?;
    let (sid, rest) = rest.split_at_checked(usize::from(*len))?;
    let (key, used) = (Key::from_bytes(*md5), u64::from_le_bytes(*used));
    Some((Session { key, sid: Sid::new(sid)?, used }, rest))
}

fn fill(input: &mut impl Read, buf: &mut [u8]) -> Result<(), Lost> {
    input.read_exact(buf).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => Lost::Truncated,
        _ => Lost::Io(e),
    })
}

fn take<const N: usize>(input: &mut impl Read) -> Result<[u8; N], Lost> {
    let mut buf = [0; N];
    fill(input, &mut buf)?;
    Ok(buf)
}

/// The first bytes of what is long enough.
fn number<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}
