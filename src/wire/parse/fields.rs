//! Field lines (RFC 9112, section 5), by nginx's rules: a line ends in LF or CR LF, blanks around the value are not part
//! of it, a line without a colon is a field without a value. A name with unusual characters is "invalid", which the
//! caller may ignore; a control character or a blank in a name, NUL and a bare CR are errors.

use memchr::{memchr, memchr2};

/// A field line; offsets into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// The empty line.
    End,
    /// `HTTP/…` among the fields of a response: a server that sends its status line twice. Skipped.
    StatusAgain,
    Field {
        name_end: usize,
        value: (usize, usize),
        /// The name has characters other than letters, digits and `-` (and `_` where it is allowed).
        invalid: bool,
    },
}

/// What is not accepted, up to where the line was read; the byte there is the one to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadField {
    pub(super) at: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) underscores: bool,
    /// A response: more than one CR may precede the LF, and `HTTP/…` lines are skipped.
    pub(super) response: bool,
}

/// Characters of a name: 0 bad, 1 letter, digit or `-`, 2 `_`, 3 `:`, 4 unusual, 5 CR.
static NAME: [u8; 256] = {
    let mut table = [4_u8; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() || b == b'-' {
            table[byte] = 1;
        } else if b == b'_' {
            table[byte] = 2;
        } else if b == b':' {
            table[byte] = 3;
        } else if b == b'\r' {
            table[byte] = 5;
        } else if b <= 0x20 || b == 0x7f {
            table[byte] = 0;
        }
        byte += 1;
    }
    table
};

/// True when a name has letters, digits and `-` only, and `_` where it is allowed.
pub(super) fn is_usual_name(name: &[u8], underscores: bool) -> bool {
    name.iter().all(|&b| match NAME[usize::from(b)] {
        1 => true,
        2 => underscores,
        _ => false,
    })
}

/// Reads one line, given without its LF.
pub(super) fn field_line(line: &[u8], rules: Rules) -> Result<Line, BadField> {
    match line {
        [] | [b'\r'] => return Ok(Line::End),
        [b'\r' | b':', ..] => return Err(BadField { at: 0 }),
        _ => {}
    }
    let mut invalid = false;
    let mut name_end = line.len();
    let usual = line.iter().take_while(|&&b| NAME[usize::from(b)] == 1).count();
    for (at, &byte) in line.iter().enumerate().skip(usual) {
        match NAME[usize::from(byte)] {
            1 => {}
            2 => invalid |= !rules.underscores,
            4 if byte == b'/' && rules.response && at == 4 && line.starts_with(b"HTTP") => {
                return Ok(Line::StatusAgain);
            }
            4 => invalid = true,
            3 | 5 => {
                name_end = at;
                break;
            }
            _ => return Err(BadField { at }),
        }
    }
    let start = if line.get(name_end) == Some(&b':') { name_end + 1 } else { name_end };
    let mut end = line.len();
    if line.last() == Some(&b'\r') {
        end -= 1;
        while rules.response && end > start && line[end - 1] == b'\r' {
            end -= 1;
        }
    }
    let value = &line[start..end];
    if has_cr_or_nul(value)
        && let Some(at) = memchr2(b'\r', 0, value)
    {
        return Err(BadField { at: start + at });
    }
    let skipped = value.iter().take_while(|&&b| b == b' ').count();
    let trimmed = value.iter().rev().take_while(|&&b| b == b' ').count();
    let value = if skipped == value.len() { (end, end) } else { (start + skipped, end - trimmed) };
    Ok(Line::Field { name_end, value, invalid })
}

/// Eight bytes at a time: values are short, and a search set up for long texts costs more than it saves.
#[inline]
fn has_cr_or_nul(value: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7) != 0;
    let (words, rest) = value.as_chunks::<8>();
    let found = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        has_zero(word) || has_zero(word ^ (ONES * 0x0d))
    };
    words.iter().any(found) || rest.iter().any(|&b| b == b'\r' || b == 0)
}

/// The length of the first line without its LF; `None` when the LF is not there yet. `from` bytes are known to have none.
#[inline]
pub(super) fn line_length(input: &[u8], from: usize) -> Option<usize> {
    memchr(b'\n', input.get(from..)?).map(|n| from + n)
}

/// Looks at a line that is not complete: an error in it can be answered at once.
pub(super) fn check_partial(line: &[u8], rules: Rules) -> Result<(), BadField> {
    // A trailing CR may be half of a line end.
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() { Ok(()) } else { field_line(line, rules).map(|_| ()) }
}
