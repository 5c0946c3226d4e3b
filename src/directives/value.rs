//! Values of directives that nobody else reads: what is ignored must still be well formed.

use super::{Kind, Row};
use crate::source::Dir;
use crate::values;

/// What nginx's shared setters say of the arguments, when they are no good.
pub(super) fn fault(row: &Row, dir: Dir<'_>) -> Option<String> {
    let says = |what: &str| Some(format!("\"{}\" directive {what}", row.name));
    let arg = dir.arg(0);
    match row.kind {
        Kind::Number if values::number(arg).is_none() => says("invalid number"),
        Kind::Size if values::size(arg).is_none() => says("invalid value"),
        Kind::Offset if values::offset(arg).is_none() => says("invalid value"),
        Kind::Msec if values::msec(arg).is_none() => says("invalid value"),
        Kind::Sec if values::sec(arg).is_none() => says("invalid value"),
        Kind::Bufs => {
            let number = values::number(arg).filter(|&n| n > 0);
            let size = values::size(dir.arg(1)).filter(|&n| n > 0);
            if number.is_none() || size.is_none() { says("invalid value") } else { None }
        }
        Kind::Enum | Kind::Bitmask if !row.values.is_empty() => dir
            .args()
            .iter()
            .find(|word| !row.values.iter().any(|v| v.as_bytes().eq_ignore_ascii_case(&word.value)))
            .map(|word| format!("invalid value \"{}\"", String::from_utf8_lossy(&word.value))),
        _ => None,
    }
}
