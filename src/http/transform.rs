//! What changes a body on its way out, behind whoever makes it and before the client's framing: unpacking, compressing.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What follows a piece of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// More of it, some time.
    More,
    /// A pause: the client is to get all that is there.
    Flush,
    /// Nothing.
    End,
}

/// A body that cannot be changed as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    #[error("inflate() failed")]
    NotGzip,
    #[error("inflate() returned -5 on response end")]
    CutGzip,
    #[error("deflate() failed")]
    Deflate,
}

/// Bytes that one step makes at most (a little more for the last stages of a chain).
const STEP: usize = 16 * 1024;

/// The changes of one answer's body, in nginx's order.
#[derive(Debug)]
pub struct Transform {
    first: Stage,
    rest: Vec<Stage>,
    /// Between two stages.
    middle: [Vec<u8>; 2],
    ended: bool,
}

#[derive(Debug)]
enum Stage {
    Gunzip(Gunzip),
    Gzip(Gzip),
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stepped {
    /// Bytes of the input that it took.
    pub taken: usize,
    /// All of the input was taken, and what was asked for behind it is done. Otherwise: once more, with the rest.
    pub done: bool,
}

impl Transform {
    /// Unpacks, compresses, or (what nginx can be told to do) both; `None`: neither.
    pub(super) fn new(gunzip: bool, gzip: Option<Gzip>) -> Option<Self> {
        let gunzip = gunzip.then(|| Stage::Gunzip(Gunzip::new()));
        let mut stages = gunzip.into_iter().chain(gzip.map(Stage::Gzip));
        let first = stages.next()?;
        Some(Self { first, rest: stages.collect(), middle: Default::default(), ended: false })
    }

    /// Appends to `out` what comes of `input`, as far as one step goes. After the end nothing more comes.
    pub fn step(&mut self, input: &[u8], then: Then, out: &mut Vec<u8>) -> Result<Stepped, TransformError> {
        if self.ended {
            return Ok(Stepped { taken: input.len(), done: true });
        }
        let stepped = if self.rest.is_empty() {
            self.first.step(input, then, out)?
        } else {
            let Self { first, rest, middle: [from, to], .. } = self;
            from.clear();
            let stepped = first.step(input, then, from)?;
            let then = if stepped.done { then } else { Then::More };
            for stage in rest {
                to.clear();
                let mut piece = &from[..];
                loop {
                    let stepped = stage.step(piece, then, to)?;
                    piece = piece.get(stepped.taken..).unwrap_or_default();
                    if stepped.done {
                        break;
                    }
                }
                std::mem::swap(from, to);
            }
            out.extend_from_slice(from);
            stepped
        };
        self.ended = stepped.done && then == Then::End;
        Ok(stepped)
    }

    /// Bytes before and after compressing, once that is over.
    pub(super) fn ratio(&self) -> Option<(u64, u64)> {
        let last = self.rest.last().unwrap_or(&self.first);
        match last {
            Stage::Gzip(gzip) if self.ended => Some((gzip.code().total_in(), gzip.code().total_out())),
            _ => None,
        }
    }
}

impl Stage {
    fn step(&mut self, input: &[u8], then: Then, out: &mut Vec<u8>) -> Result<Stepped, TransformError> {
        out.reserve(STEP);
        match self {
            Self::Gunzip(gunzip) => gunzip.step(input, then, out),
            Self::Gzip(gzip) => gzip.step(input, then, out),
        }
    }
}

/// A compressor, which a thread uses again: its tables are a quarter of a megabyte.
#[derive(Debug)]
pub(super) struct Gzip {
    /// `None` once it is given back.
    code: Option<Compress>,
    kind: (u8, u8),
}

/// Compressors that are kept for later by a thread.
const KEPT: usize = 8;

thread_local! {
    static IDLE: std::cell::RefCell<Vec<((u8, u8), Compress)>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl Gzip {
    /// `length` is the body's, if it is known: a short one needs no large window.
    pub(super) fn new(level: u8, window_bits: u8, length: Option<u64>) -> Self {
        let mut bits = window_bits.clamp(9, 15);
        if let Some(length) = length.filter(|&n| n > 0) {
            // As nginx: a window of zlib's is 262 bytes smaller than it says.
            while bits > 9 && length + 262 < 1 << (bits - 1) {
                bits -= 1;
            }
        }
        let kind = (level, bits);
        let idle = IDLE.with_borrow_mut(|idle| {
            let at = idle.iter().position(|(of, _)| *of == kind)?;
            Some(idle.swap_remove(at).1)
        });
        let code = idle.unwrap_or_else(|| Compress::new_gzip(Compression::new(level.into()), bits));
        Self { code: Some(code), kind }
    }

    fn code(&self) -> &Compress {
        self.code.as_ref().expect("it is given back when the compressor goes")
    }

    fn step(&mut self, input: &[u8], then: Then, out: &mut Vec<u8>) -> Result<Stepped, TransformError> {
        let code = self.code.as_mut().expect("it is given back when the compressor goes");
        let flush = match then {
            Then::More => FlushCompress::None,
            Then::Flush => FlushCompress::Sync,
            Then::End => FlushCompress::Finish,
        };
        let before = code.total_in();
        let status = code.compress_vec(input, out, flush).map_err(|_| TransformError::Deflate)?;
        let taken = usize::try_from(code.total_in() - before).unwrap_or(usize::MAX);
        let room = out.capacity() > out.len();
        let done = match then {
            Then::More => true,
            Then::Flush => room,
            Then::End => status == Status::StreamEnd,
        };
        Ok(Stepped { taken, done: done && taken == input.len() })
    }
}

impl Drop for Gzip {
    fn drop(&mut self) {
        let Some(mut code) = self.code.take() else { return };
        IDLE.with_borrow_mut(|idle| {
            if idle.len() < KEPT {
                code.reset();
                idle.push((self.kind, code));
            }
        });
    }
}

/// Unpacks gzip, one member after the other.
#[derive(Debug)]
struct Gunzip {
    code: Decompress,
    /// A member is over, and nothing of another one came.
    between: bool,
}

impl Gunzip {
    fn new() -> Self {
        Self { code: Decompress::new_gzip(15), between: false }
    }

    fn step(&mut self, input: &[u8], then: Then, out: &mut Vec<u8>) -> Result<Stepped, TransformError> {
        let mut taken = 0;
        loop {
            let rest = input.get(taken..).unwrap_or_default();
            if self.between {
                if rest.is_empty() {
                    return Ok(Stepped { taken, done: true });
                }
                self.code.reset(true);
                self.between = false;
            }
            let before = self.code.total_in();
            let status = self.code.decompress_vec(rest, out, FlushDecompress::None);
            let status = status.map_err(|_| TransformError::NotGzip)?;
            taken += usize::try_from(self.code.total_in() - before).unwrap_or(usize::MAX);
            let all = taken >= input.len();
            match status {
                Status::StreamEnd => self.between = true,
                _ if out.capacity() == out.len() => return Ok(Stepped { taken, done: false }),
                _ if all && then == Then::End => return Err(TransformError::CutGzip),
                _ if all => return Ok(Stepped { taken, done: true }),
                // There is room and input, and nothing moves.
                Status::BufError if self.code.total_in() == before => return Err(TransformError::NotGzip),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// All that comes of pieces, and the most of one step.
    fn run(
        transform: &mut Transform,
        pieces: &[&[u8]],
        flush: bool,
    ) -> Result<(Vec<u8>, usize), TransformError> {
        let (mut all, mut most) = (Vec::new(), 0);
        for (i, piece) in pieces.iter().enumerate() {
            let last = i + 1 == pieces.len();
            let then = if last {
                Then::End
            } else if flush {
                Then::Flush
            } else {
                Then::More
            };
            let mut rest = *piece;
            loop {
                let mut out = Vec::new();
                let stepped = transform.step(rest, then, &mut out)?;
                rest = &rest[stepped.taken..];
                most = most.max(out.len());
                all.extend(out);
                if stepped.done {
                    break;
                }
            }
        }
        Ok((all, most))
    }

    fn unpacked(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
        out
    }

    fn gzip(level: u8, length: Option<u64>) -> Transform {
        Transform::new(false, Some(Gzip::new(level, 15, length))).expect("one stage")
    }

    #[test]
    fn what_is_compressed_can_be_unpacked_and_used_compressors_are_as_new() {
        let noise: Vec<u8> = (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        for level in [1, 6, 9] {
            for length in [None, Some(0), Some(20), Some(300_000)] {
                let pieces: Vec<&[u8]> = noise.chunks(7_001).collect();
                let (packed, most) = run(&mut gzip(level, length), &pieces, level == 6).expect("done");
                assert_eq!(unpacked(&packed), noise, "{level} {length:?}");
                assert!(most <= 2 * STEP, "{most}");
            }
        }
        assert_eq!(unpacked(&run(&mut gzip(1, Some(0)), &[b""], false).expect("done").0), b"");
    }

    #[test]
    fn a_flush_gives_all_that_came_before_it() {
        let mut transform = gzip(1, None);
        let mut out = Vec::new();
        assert!(transform.step(b"hello", Then::Flush, &mut out).expect("done").done);
        let mut decoder = Decompress::new_gzip(15);
        let mut text = Vec::with_capacity(64);
        decoder.decompress_vec(&out, &mut text, FlushDecompress::None).expect("gzip");
        assert_eq!(text, b"hello");
        assert_eq!(transform.ratio(), None, "it is not over");
    }

    #[test]
    fn members_are_unpacked_one_after_the_other_and_little_by_little() {
        let long = vec![b'x'; 5_000_000];
        let mut packed = run(&mut gzip(9, None), &[&long], false).expect("done").0;
        packed.extend(run(&mut gzip(1, None), &[b"end"], false).expect("done").0);
        for size in [1, 100, packed.len()] {
            let mut pieces: Vec<&[u8]> = packed.chunks(size).collect();
            pieces.push(b"");
            let mut both = Transform::new(true, Some(Gzip::new(1, 15, None))).expect("two stages");
            let (again, _) = run(&mut both, &pieces, false).expect("done");
            assert_eq!(both.ratio().map(|r| r.0), Some(5_000_003));
            let (text, most) =
                run(&mut Transform::new(true, None).expect("one"), &pieces, false).expect("done");
            assert!(text.len() == 5_000_003 && text.ends_with(b"xend") && unpacked(&again) == text, "{size}");
            assert!(most <= 2 * STEP, "{most}");
        }
    }

    #[test]
    fn what_is_no_gzip_is_an_error() {
        let packed = run(&mut gzip(1, None), &[b"hello"], false).expect("done").0;
        let fails = |bytes: &[u8]| run(&mut Transform::new(true, None).expect("one"), &[bytes], false).err();
        assert_eq!(fails(b"hello hello"), Some(TransformError::NotGzip));
        assert_eq!(fails(&packed[..packed.len() - 3]), Some(TransformError::CutGzip));
        assert_eq!(fails(&[&packed[..], b"trailing garbage"].concat()), Some(TransformError::NotGzip));
        assert_eq!(fails(&packed), None);
    }
}
