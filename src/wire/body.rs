//! Bodies: where one ends, and what of the bytes read belongs to it (RFC 9112, sections 6 and 7). State machines that
//! take the input as it comes, in pieces of any size, and name ranges of it: nothing is copied.

use std::ops::Range;

/// How a body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// None follows, whatever the fields say.
    #[default]
    Empty,
    Length(u64),
    Chunked,
    /// It ends with the connection (responses only).
    UntilClose,
}

/// A chunk size, an extension or a trailer that RFC 9112 does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid chunked body")]
pub struct BadChunk;

/// What one look at the input found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Body bytes: this range of the input. What precedes it is framing; all up to its end is taken.
    Data(Range<usize>),
    /// This much was framing; more input is needed.
    More(usize),
    /// The body ended after this much input.
    Done(usize),
}

/// Longest trailer section that is kept.
const MAX_TRAILERS: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkState {
    Start,
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a line of the trailer section.
    Trailer,
    TrailerLine,
    TrailerLf,
    EndLf,
    /// The body is over; its trailers stay until the next one begins.
    End,
}

/// Reads a chunked body. Lines must end in CR LF and extensions are skipped, as nginx does both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunks {
    state: ChunkState,
    /// Of the chunk at hand, what is still to come.
    left: u64,
    /// The trailer section's lines as they came, the empty one left out.
    trailers: Vec<u8>,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { state: ChunkState::Start, left: 0, trailers: Vec::new() }
    }
}

impl Chunks {
    fn step(&mut self, input: &[u8]) -> Result<Step, BadChunk> {
        let mut at = 0;
        if self.state == ChunkState::End {
            return Ok(Step::Done(0));
        }
        while let Some(&byte) = input.get(at) {
            if self.state == ChunkState::Data {
                let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len() - at);
                self.left -= n as u64;
                if self.left == 0 {
                    self.state = ChunkState::DataCr;
                }
                return Ok(Step::Data(at..at + n));
            }
            at += 1;
            self.state = match (self.state, byte) {
                (ChunkState::Start, _) => {
                    self.left = hex(byte).ok_or(BadChunk)?;
                    ChunkState::Size
                }
                (ChunkState::Size, b'\r') | (ChunkState::Extension, b'\r') => ChunkState::SizeLf,
                (ChunkState::Size, b';' | b' ' | b'\t') => ChunkState::Extension,
                (ChunkState::Size, _) => {
                    let digit = hex(byte).ok_or(BadChunk)?;
                    // As nginx: sizes stay below 2^63.
                    if self.left > (i64::MAX as u64) / 16 {
                        return Err(BadChunk);
                    }
                    self.left = self.left * 16 + digit;
                    if self.left > i64::MAX as u64 - 9 {
                        return Err(BadChunk);
                    }
                    ChunkState::Size
                }
                (ChunkState::Extension, b'\n') => return Err(BadChunk),
                (ChunkState::Extension, _) => ChunkState::Extension,
                (ChunkState::SizeLf, b'\n') if self.left == 0 => ChunkState::Trailer,
                (ChunkState::SizeLf, b'\n') => ChunkState::Data,
                (ChunkState::DataCr, b'\r') => ChunkState::DataLf,
                (ChunkState::DataLf, b'\n') => ChunkState::Start,
                (ChunkState::Trailer, b'\r') => ChunkState::EndLf,
                (ChunkState::Trailer | ChunkState::TrailerLine, b'\n') => return Err(BadChunk),
                (ChunkState::Trailer | ChunkState::TrailerLine, _) => {
                    self.keep(byte)?;
                    if byte == b'\r' { ChunkState::TrailerLf } else { ChunkState::TrailerLine }
                }
                (ChunkState::TrailerLf, b'\n') => {
                    self.keep(byte)?;
                    ChunkState::Trailer
                }
                (ChunkState::EndLf, b'\n') => {
                    self.state = ChunkState::End;
                    return Ok(Step::Done(at));
                }
                _ => return Err(BadChunk),
            };
        }
        Ok(Step::More(at))
    }

    fn keep(&mut self, byte: u8) -> Result<(), BadChunk> {
        if self.trailers.len() >= MAX_TRAILERS {
            return Err(BadChunk);
        }
        self.trailers.push(byte);
        Ok(())
    }
}

fn hex(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

/// Reads a body of any framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoder {
    /// Nothing more comes.
    Done,
    Length(u64),
    Chunked(Chunks),
    UntilClose,
}

impl Decoder {
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Empty | Framing::Length(0) => Self::Done,
            Framing::Length(n) => Self::Length(n),
            Framing::Chunked => Self::Chunked(Chunks::default()),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// All of the body has been taken.
    pub fn is_done(&self) -> bool {
        match self {
            Self::Done => true,
            Self::Chunked(chunks) => chunks.state == ChunkState::End,
            Self::Length(_) | Self::UntilClose => false,
        }
    }

    /// The lines of the trailer section of a chunked body, as they came.
    pub fn trailers(&self) -> &[u8] {
        match self {
            Self::Chunked(chunks) => &chunks.trailers,
            _ => &[],
        }
    }

    /// Looks at what has been read and not been taken yet.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, BadChunk> {
        match self {
            Self::Done => Ok(Step::Done(0)),
            Self::Chunked(chunks) => chunks.step(input),
            _ if input.is_empty() => Ok(Step::More(0)),
            Self::Length(left) => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= n as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(Step::Data(0..n))
            }
            Self::UntilClose => Ok(Step::Data(0..input.len())),
        }
    }
}

/// Appends the head of a chunk of `len` bytes; the data and CR LF follow it. A chunk of no bytes would end the body.
pub fn chunk_head(len: usize, out: &mut Vec<u8>) {
    debug_assert!(len > 0, "the last chunk is LAST_CHUNK");
    let mut digits = [0_u8; 16];
    let mut at = digits.len();
    let mut rest = len;
    while rest > 0 {
        at -= 1;
        digits[at] = b"0123456789abcdef"[rest % 16];
        rest /= 16;
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

/// The end of a chunked body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
