//! `add_header`, `add_trailer`, `expires`.

use super::cx::show;
use super::family::family;
use super::text::Text;
use super::{Cx, set};
use crate::plan::Expires;
use crate::source::Dir;
use crate::values;

family! {
    /// `ngx_http_headers_filter_module`
    pub struct Headers {
        "add_header" => add_headers: Vec<AddHeader> = add, Vec::new();
        "add_trailer" => add_trailers: Vec<AddHeader> = add, Vec::new();
        "add_header_inherit" => headers_inherit: Inherit = set::word(INHERIT), Inherit::On;
        "add_trailer_inherit" => trailers_inherit: Inherit = set::word(INHERIT), Inherit::On;
        "expires" => expires: ExpiresSetting = expires, ExpiresSetting::Fixed(Expires::Off);
    }
}

/// What becomes of the fields of the level above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inherit {
    On,
    Off,
    Merge,
}

const INHERIT: &[(&str, Inherit)] = &[("on", Inherit::On), ("off", Inherit::Off), ("merge", Inherit::Merge)];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddHeader {
    pub name: Box<[u8]>,
    pub value: Text,
    pub always: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpiresSetting {
    Fixed(Expires),
    Variable { modified: bool, value: Text },
}

impl Headers {
    /// Inheritance with `add_header_inherit` taken into account: call it in place of `inherit`.
    pub fn merge(&mut self, parent: &Self) {
        let own = (self.add_headers.take(), self.add_trailers.take());
        self.inherit(parent);
        let above = (self.add_headers.take(), self.add_trailers.take());
        self.add_headers = joined(own.0, above.0, self.headers_inherit());
        self.add_trailers = joined(own.1, above.1, self.trailers_inherit());
    }
}

fn joined<T>(own: Option<Vec<T>>, above: Option<Vec<T>>, how: Inherit) -> Option<Vec<T>> {
    match (how, own, above) {
        (Inherit::Off, own, _) => own,
        (Inherit::Merge, Some(mut own), Some(above)) => {
            own.extend(above);
            Some(own)
        }
        (_, own, above) => own.or(above),
    }
}

fn add(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Vec<AddHeader>>) {
    let Some(value) = Text::read(cx, d, d.arg(1)) else { return };
    let always = match d.args().get(2) {
        None => false,
        Some(word) if &word.value[..] == b"always" => true,
        Some(word) => return cx.emerg(d, format!("invalid parameter \"{}\"", show(&word.value))),
    };
    slot.get_or_insert_default().push(AddHeader { name: d.arg(0).into(), value, always });
}

fn expires(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<ExpiresSetting>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    let modified = d.args().len() > 1;
    if modified && d.arg(0) != b"modified" {
        return cx.says(d, "invalid value");
    }
    let word = d.arg(usize::from(modified));
    let Some(value) = Text::read(cx, d, word) else { return };
    if !value.fixed() {
        *slot = Some(ExpiresSetting::Variable { modified, value });
        return;
    }
    match fixed(word, modified) {
        Ok(expires) => *slot = Some(ExpiresSetting::Fixed(expires)),
        Err(what) => cx.says(d, what),
    }
}

/// An `expires` value without variables.
fn fixed(word: &[u8], modified: bool) -> Result<Expires, &'static str> {
    match word {
        b"epoch" if !modified => return Ok(Expires::Epoch),
        b"max" if !modified => return Ok(Expires::Max),
        b"off" if !modified => return Ok(Expires::Off),
        _ => {}
    }
    let daily = word.first() == Some(&b'@');
    if daily && modified {
        return Err("daily time cannot be used with \"modified\" parameter");
    }
    let minus = word.first() == Some(&b'-');
    let digits = if daily || minus || word.first() == Some(&b'+') { word.get(1..) } else { Some(word) };
    let seconds = digits.and_then(values::sec).and_then(|s| i64::try_from(s).ok()).ok_or("invalid value")?;
    if daily {
        let second = u32::try_from(seconds).ok().filter(|&s| s <= 24 * 60 * 60);
        return second.map(Expires::Daily).ok_or("daily time value must be less than 24 hours");
    }
    let seconds = if minus { -seconds } else { seconds };
    Ok(if modified { Expires::Modified(seconds) } else { Expires::Access(seconds) })
}
