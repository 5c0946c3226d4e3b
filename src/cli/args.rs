//! The command line, read as nginx reads it: a word of letters may hold several options, and one that takes a value
//! takes the rest of the word, or the next word.

use super::check::More;
use super::options;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// What was asked for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) help: bool,
    pub(crate) version: bool,
    pub(crate) configure: bool,
    pub(crate) test: bool,
    pub(crate) dump: bool,
    pub(crate) quiet: bool,
    pub(crate) prefix: Option<OsString>,
    /// `-e`; empty: the standard error.
    pub(crate) error_log: Option<OsString>,
    pub(crate) conf: Option<OsString>,
    pub(crate) globals: Option<OsString>,
    pub(crate) signal: Option<Control>,
    /// What nginx's command line does not have.
    pub(crate) more: More,
}

/// The word of `-s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    Stop,
    Quit,
    Reopen,
    Reload,
}

impl Args {
    /// Reads `args`, the program's name first. The error is nginx's text without its `nginx: `.
    pub(crate) fn parse(args: &[OsString]) -> Result<Self, String> {
        let mut out = Self::default();
        let mut words = args.iter().skip(1);
        while let Some(word) = words.next() {
            if word == "--test-config" {
                out.test = true;
                continue;
            }
            if word == "--help" || word == "--version" {
                out.flag(if word == "--help" { b'h' } else { b'v' });
                continue;
            }
            if out.more.take(word, &mut words)? {
                continue;
            }
            let Some(mut letters) = word.as_bytes().strip_prefix(b"-") else {
                return Err(format!("invalid option: \"{}\"", word.to_string_lossy()));
            };
            while let Some((&letter, rest)) = letters.split_first() {
                letters = rest;
                if out.flag(letter) {
                    continue;
                }
                let Some((_, needs)) = options::of(letter).and_then(|o| o.value) else {
                    let shown = String::from_utf8_lossy(&[letter]).into_owned();
                    return Err(format!("invalid option: \"{shown}\""));
                };
                let value = if rest.is_empty() {
                    words.next().cloned()
                } else {
                    Some(OsString::from_vec(rest.to_vec()))
                };
                let Some(value) = value else {
                    return Err(format!("option \"-{}\" requires {needs}", char::from(letter)));
                };
                out.value(letter, value)?;
                break;
            }
        }
        Ok(out)
    }

    fn flag(&mut self, letter: u8) -> bool {
        match letter {
            b'?' | b'h' => (self.version, self.help) = (true, true),
            b'v' => self.version = true,
            b'V' => (self.version, self.configure) = (true, true),
            b't' => self.test = true,
            b'T' => (self.test, self.dump) = (true, true),
            b'q' => self.quiet = true,
            _ => return false,
        }
        true
    }

    fn value(&mut self, letter: u8, value: OsString) -> Result<(), String> {
        match letter {
            b'p' => self.prefix = Some(value),
            b'e' => self.error_log = Some(if value == "stderr" { OsString::new() } else { value }),
            b'c' => self.conf = Some(value),
            b'g' => self.globals = Some(value),
            _ => self.signal = Some(Control::parse(&value)?),
        }
        Ok(())
    }
}

impl Control {
    fn parse(word: &OsStr) -> Result<Self, String> {
        match word.as_bytes() {
            b"stop" => Ok(Self::Stop),
            b"quit" => Ok(Self::Quit),
            b"reopen" => Ok(Self::Reopen),
            b"reload" => Ok(Self::Reload),
            _ => Err(format!("invalid option: \"-s {}\"", word.to_string_lossy())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Args, String> {
        let words: Vec<OsString> =
            std::iter::once("tenrec").chain(words.iter().copied()).map(Into::into).collect();
        Args::parse(&words)
    }

    #[test]
    fn letters_combine_and_a_value_ends_the_word() {
        let args = parse(&["-tq", "-c/a b", "-p", "-x", "-estderr", "-s", "quit"]).unwrap();
        assert!(args.test && args.quiet && !args.dump);
        assert_eq!(args.conf.unwrap(), "/a b");
        assert_eq!(args.prefix.unwrap(), "-x", "the next word is the value, whatever it looks like");
        assert_eq!(args.error_log.unwrap(), "");
        assert_eq!(args.signal, Some(Control::Quit));
        assert!(parse(&["-Tcx"]).unwrap().dump);
        assert_eq!(parse(&["-"]), Ok(Args::default()));
    }

    #[test]
    fn the_table_has_every_letter_that_is_read() {
        for letter in 1..=0x7f_u8 {
            let word = format!("-{}", char::from(letter));
            let read = parse(&[&word, "quit"]);
            let known =
                !matches!(&read, Err(text) if *text == format!("invalid option: \"{}\"", char::from(letter)));
            // A letter without a value leaves "quit", which is no option.
            let flag = matches!(&read, Err(text) if text == "invalid option: \"quit\"");
            let row = options::of(letter);
            assert_eq!(known, row.is_some(), "{word}");
            assert_eq!(flag, row.is_some_and(|r| r.value.is_none()), "{word}");
        }
    }

    #[test]
    fn errors_are_nginx_own() {
        assert_eq!(parse(&["-tx"]).unwrap_err(), "invalid option: \"x\"");
        assert_eq!(parse(&["x"]).unwrap_err(), "invalid option: \"x\"");
        assert_eq!(parse(&["-c"]).unwrap_err(), "option \"-c\" requires file name");
        assert_eq!(parse(&["-p"]).unwrap_err(), "option \"-p\" requires directory name");
        assert_eq!(parse(&["-g"]).unwrap_err(), "option \"-g\" requires parameter");
        assert_eq!(parse(&["-s", "halt"]).unwrap_err(), "invalid option: \"-s halt\"");
    }
}
