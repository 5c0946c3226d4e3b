//! The shared setters: an argument to a typed value, with nginx's words when it is none.

use std::path::PathBuf;
use std::time::Duration;

use super::cx::show;
use super::{Cx, Text};
use crate::directives::near_word;
use crate::plan::MimeTypes;
use crate::source::Dir;
use crate::values;

const SIZE: &str = "a size: 1024, 8k, 1m";

/// Whether the slot is taken, said as nginx says it.
fn taken<T>(cx: &mut Cx<'_>, d: Dir<'_>, slot: &Option<T>) -> bool {
    if slot.is_some() {
        cx.says(d, "is duplicate");
    }
    slot.is_some()
}

/// `otherwise`: what nginx says when there is no value; `form`: what it may be.
fn put<T>(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<T>, value: Option<T>, otherwise: &str, form: &str) {
    if taken(cx, d, slot) {
        return;
    }
    match value {
        Some(value) => *slot = Some(value),
        None => {
            cx.says(d, otherwise);
            cx.found.hint(format!("it takes {form}"));
        }
    }
}

/// `on` or `off`.
pub fn flag(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<bool>) {
    if taken(cx, d, slot) {
        return;
    }
    *slot = values::flag(d.arg(0));
    if slot.is_none() {
        let (value, name) = (show(d.arg(0)), d.name());
        cx.emerg(
            d,
            format!("invalid value \"{value}\" in \"{name}\" directive, it must be \"on\" or \"off\""),
        );
    }
}

/// A whole number.
pub fn num(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<u64>) {
    put(cx, d, slot, values::number(d.arg(0)), "invalid number", "a whole number");
}

/// `8k`, `1m`.
pub fn size(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<usize>) {
    put(cx, d, slot, values::size(d.arg(0)).and_then(|v| usize::try_from(v).ok()), "invalid value", SIZE);
}

/// A size that may have `g`.
pub fn off(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<u64>) {
    put(cx, d, slot, values::offset(d.arg(0)), "invalid value", "a size: 1024, 8k, 1m, 2g");
}

/// A time in milliseconds.
pub fn msec(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Duration>) {
    put(
        cx,
        d,
        slot,
        values::msec(d.arg(0)).map(Duration::from_millis),
        "invalid value",
        "a time: 500ms, 30s, 1m, 1h 30m",
    );
}

/// Any text.
pub fn text(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Box<[u8]>>) {
    put(cx, d, slot, Some(d.arg(0).into()), "", "");
}

/// A text that is only ever one more of a list.
pub fn texts(_: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Vec<Box<[u8]>>>) {
    slot.get_or_insert_default().push(d.arg(0).into());
}

/// A text with variables.
pub fn template(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Text>) {
    if !taken(cx, d, slot) {
        *slot = Text::read(cx, d, d.arg(0));
    }
}

/// A size with variables (`limit_rate`).
pub fn template_size(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Text>) {
    if taken(cx, d, slot) {
        return;
    }
    let Some(text) = Text::read(cx, d, d.arg(0)) else { return };
    if text.fixed() && values::size(d.arg(0)).is_none() {
        cx.says(d, "invalid value");
    } else {
        *slot = Some(text);
    }
}

/// A number and a size.
pub fn buffers(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<(usize, usize)>) {
    let positive = |v: Option<u64>| v.and_then(|v| usize::try_from(v).ok()).filter(|&v| v > 0);
    let value = positive(values::number(d.arg(0))).zip(positive(values::size(d.arg(1))));
    put(cx, d, slot, value, "invalid value", "a number and a size: 8 4k");
}

/// Says that a word is none of those that may stand here.
fn wrong_word(cx: &mut Cx<'_>, d: Dir<'_>, word: &[u8], words: impl Iterator<Item = &'static str> + Clone) {
    cx.emerg(d, format!("invalid value \"{}\"", show(word)));
    match near_word(&show(word), words.clone()) {
        Some(near) => cx.found.hint(format!("did you mean \"{near}\"?")),
        None => cx.found.hint(format!("it may be {}", words.collect::<Vec<_>>().join(", "))),
    }
}

/// One word of several, without regard to case.
pub fn word<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(&mut Cx<'_>, Dir<'_>, &mut Option<T>) {
    move |cx, d, slot| {
        if taken(cx, d, slot) {
            return;
        }
        *slot = words.iter().find(|(w, _)| w.as_bytes().eq_ignore_ascii_case(d.arg(0))).map(|&(_, v)| v);
        if slot.is_none() {
            wrong_word(cx, d, d.arg(0), words.iter().map(|(w, _)| *w));
        }
    }
}

/// Any of several words, as bits.
pub fn bits(words: &'static [(&'static str, u32)]) -> impl Fn(&mut Cx<'_>, Dir<'_>, &mut Option<u32>) {
    move |cx, d, slot| {
        let mut bits = slot.unwrap_or(0);
        for arg in d.args() {
            match words.iter().find(|(w, _)| w.as_bytes().eq_ignore_ascii_case(&arg.value)) {
                Some((_, bit)) if bits & bit != 0 => {
                    cx.warn(d, format!("duplicate value \"{}\"", show(&arg.value)));
                }
                Some((_, bit)) => bits |= bit,
                None => {
                    wrong_word(cx, d, &arg.value, words.iter().map(|(w, _)| *w));
                    return;
                }
            }
        }
        *slot = Some(bits);
    }
}

/// These types and no others.
pub fn own_types(types: &[&str]) -> MimeTypes {
    MimeTypes::Some(types.iter().map(|t| t.as_bytes().into()).collect())
}

/// Content types (`gzip_types`); `always` belong to them whatever is said. `*` is any, and ends the list.
pub fn types(always: &'static [&'static str]) -> impl Fn(&mut Cx<'_>, Dir<'_>, &mut Option<MimeTypes>) {
    move |cx, d, slot| {
        let MimeTypes::Some(types) = slot.get_or_insert_with(|| own_types(always)) else { return };
        for arg in d.args() {
            if &arg.value[..] == b"*" {
                *slot = Some(MimeTypes::Any);
                return;
            }
            let name = arg.value.to_ascii_lowercase();
            if types.contains(&name[..]) {
                cx.warn(d, format!("duplicate MIME type \"{}\"", show(&name)));
            } else {
                types.insert(name.into());
            }
        }
    }
}

/// A directory for temporary files, its levels checked.
pub fn path(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<PathBuf>) {
    if taken(cx, d, slot) {
        return;
    }
    let mut len = 0;
    let levels = d.args().get(1..).unwrap_or_default();
    for level in levels {
        match values::number(&level.value).filter(|&n| n > 0) {
            Some(n) => len += n + 1,
            None => return cx.says(d, "invalid value"),
        }
    }
    if len > 10 + levels.len() as u64 {
        return cx.says(d, "invalid value");
    }
    let name = d.arg(0);
    *slot = Some(cx.path(name.strip_suffix(b"/").unwrap_or(name)));
}

/// A setter with one more condition on the value; what it says is nginx's.
pub fn checked<T>(
    set: impl Fn(&mut Cx<'_>, Dir<'_>, &mut Option<T>),
    post: impl Fn(&T) -> Option<String>,
) -> impl Fn(&mut Cx<'_>, Dir<'_>, &mut Option<T>) {
    move |cx, d, slot| {
        let was = slot.is_some();
        set(cx, d, slot);
        if !was && let Some(wrong) = slot.as_ref().and_then(&post) {
            cx.emerg(d, wrong);
        }
    }
}

/// A directive that has no argument: it is there.
pub fn present(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<bool>) {
    put(cx, d, slot, Some(true), "", "");
}
