//! `charset`: the character set that `Content-Type` names. Nothing is recoded.

use super::context::Bytes;
use super::{Request, ThreadState};
use crate::diag::Severity;
use crate::plan::{Charset, without_charset};
use crate::vars;

/// The header filter.
pub(super) fn filter(req: &mut Request, thread: &ThreadState, charset: &Charset) {
    // A redirect keeps its type: old browsers took its character set for that of the page it leads to.
    if req.out.content_type.is_empty() || matches!(req.out.status, 301 | 302) {
        return;
    }
    let named = without_charset(&req.out.content_type).len();
    let has_one = named < req.out.content_type.len();
    if if has_one { !charset.overrides } else { !charset.types.has(&req.out.content_type) } {
        return;
    }
    let name = vars::eval_to_vec(&charset.name, req);
    if name.is_empty() {
        return;
    }
    if has_one {
        let theirs = of(&req.out.content_type);
        if !theirs.eq_ignore_ascii_case(&name) {
            let (theirs, ours) = (Bytes(theirs), Bytes(&name));
            let text = format!("no \"charset_map\" between the charsets \"{theirs}\" and \"{ours}\"");
            return thread.log_error(req, Severity::Error, format_args!("{text}"));
        }
        req.out.content_type.truncate(named);
    }
    req.out.content_type.extend_from_slice(b"; charset=");
    req.out.content_type.extend_from_slice(&name);
}

/// The character set that a type names.
fn of(content_type: &[u8]) -> &[u8] {
    let rest = content_type.get(without_charset(content_type).len()..).unwrap_or_default();
    let value = rest.iter().position(|b| *b == b'=').and_then(|at| rest.get(at + 1..)).unwrap_or_default();
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    value.strip_suffix(b"\"").unwrap_or(value)
}
