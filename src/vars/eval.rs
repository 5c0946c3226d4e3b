//! Templates to bytes.

use crate::plan::{LogEscape, Part, Template, Var};

/// Whatever has variables: a request.
pub trait Source {
    /// Appends the variable's value; `false` (and nothing appended) when it has none ("not found" in nginx, which is
    /// not the same as empty: a log shows `-`).
    fn append(&self, var: &Var, out: &mut Vec<u8>) -> bool;
}

/// Appends the text of `template`; a variable without a value is empty.
pub fn eval<S: Source + ?Sized>(template: &Template, source: &S, out: &mut Vec<u8>) {
    for part in &template.parts {
        match part {
            Part::Text(t) => out.extend_from_slice(t),
            Part::Var(v) => {
                source.append(v, out);
            }
        }
    }
}

/// The text of `template` in a vector of its own.
pub fn eval_to_vec<S: Source + ?Sized>(template: &Template, source: &S) -> Vec<u8> {
    let mut out = Vec::new();
    eval(template, source, &mut out);
    out
}

/// nginx's test of `if=` and its like: true unless the text is empty or `0`.
pub fn truthy<S: Source + ?Sized>(template: &Template, source: &S, scratch: &mut Vec<u8>) -> bool {
    let start = scratch.len();
    eval(template, source, scratch);
    let yes = !matches!(&scratch[start..], b"" | b"0");
    scratch.truncate(start);
    yes
}

/// Appends the text of a `log_format`: values are escaped, a missing one is `-` (nothing with `json` and `none`).
pub fn eval_log<S: Source + ?Sized>(template: &Template, escape: LogEscape, source: &S, out: &mut Vec<u8>) {
    for part in &template.parts {
        match part {
            Part::Text(t) => out.extend_from_slice(t),
            Part::Var(v) => {
                let start = out.len();
                let found = source.append(v, out);
                match escape {
                    LogEscape::Default if !found => out.push(b'-'),
                    LogEscape::Default => escape_tail(out, start, needs_default, escape_default),
                    LogEscape::Json => escape_tail(out, start, needs_json, escape_json),
                    LogEscape::None => {}
                }
            }
        }
    }
}

fn escape_tail(out: &mut Vec<u8>, start: usize, needs: fn(u8) -> bool, escape: fn(&[u8], &mut Vec<u8>)) {
    if out[start..].iter().any(|&b| needs(b)) {
        let raw = out[start..].to_vec();
        out.truncate(start);
        escape(&raw, out);
    }
}

fn needs_default(b: u8) -> bool {
    !(0x20..0x7f).contains(&b) || b == b'"' || b == b'\\'
}

fn needs_json(b: u8) -> bool {
    b < 0x20 || b == b'"' || b == b'\\'
}

/// `escape=default`: everything that is not printable ASCII, `"` and `\` as `\xHH`.
pub fn escape_default(raw: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &b in raw {
        if needs_default(b) {
            out.extend_from_slice(&[b'\\', b'x', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        } else {
            out.push(b);
        }
    }
}

/// `escape=json`.
pub fn escape_json(raw: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &b in raw {
        match b {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', b]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
            }
            _ => out.push(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::VarId;

    struct One(Option<&'static [u8]>);

    impl Source for One {
        fn append(&self, _: &Var, out: &mut Vec<u8>) -> bool {
            self.0.inspect(|v| out.extend_from_slice(v)).is_some()
        }
    }

    fn template() -> Template {
        Template { parts: vec![Part::Text((*b"a=").into()), Part::Var(Var::Fixed(VarId::Uri))] }
    }

    #[test]
    fn log_escapes_as_the_format_says() {
        let raw: &'static [u8] = b"q\"\\\n\x7f\xc3z";
        let cases: [(LogEscape, &[u8]); 3] = [
            (LogEscape::Default, b"a=q\\x22\\x5C\\x0A\\x7F\\xC3z"),
            (LogEscape::Json, b"a=q\\\"\\\\\\n\x7f\xc3z"),
            (LogEscape::None, raw),
        ];
        for (escape, want) in cases {
            let mut out = Vec::new();
            eval_log(&template(), escape, &One(Some(raw)), &mut out);
            let want = if escape == LogEscape::None { [b"a=", want].concat() } else { want.to_vec() };
            assert_eq!(out, want, "{escape:?}");
        }
    }

    #[test]
    fn a_missing_value_is_a_dash_in_a_log_only() {
        let (mut log, mut json, mut text) = (Vec::new(), Vec::new(), Vec::new());
        eval_log(&template(), LogEscape::Default, &One(None), &mut log);
        eval_log(&template(), LogEscape::Json, &One(None), &mut json);
        eval(&template(), &One(None), &mut text);
        assert_eq!((&log[..], &json[..], &text[..]), (&b"a=-"[..], &b"a="[..], &b"a="[..]));
    }

    #[test]
    fn zero_and_empty_are_false() {
        let mut scratch = Vec::new();
        let bare = Template { parts: vec![Part::Var(Var::Fixed(VarId::Uri))] };
        for (value, want) in
            [(Some(&b"0"[..]), false), (Some(b""), false), (None, false), (Some(b"00"), true)]
        {
            assert_eq!(truthy(&bare, &One(value), &mut scratch), want);
        }
        assert!(scratch.is_empty());
    }
}
