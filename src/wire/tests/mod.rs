//! What goes over the wire, byte by byte.

mod bodies;
mod connections;
mod h2;
mod requests;
mod responses;
mod split;

use super::*;

/// Reads `input` as one request head with nginx's defaults.
fn request(input: &[u8]) -> Result<Option<RequestHead>, Refusal> {
    request_with(input, &Limits::default())
}

fn request_with(input: &[u8], limits: &Limits) -> Result<Option<RequestHead>, Refusal> {
    let mut head = RequestHead::default();
    let got = parse::RequestParser::new(limits).parse(input, &mut head, limits)?;
    Ok(got.map(|_| head))
}

fn accepted(input: &[u8]) -> RequestHead {
    match request(input) {
        Ok(Some(head)) => head,
        other => panic!("{}: {other:?}", input.escape_ascii()),
    }
}

/// The status that `input` is refused with.
fn refused(input: &[u8]) -> (u16, String) {
    match request(input) {
        Err(r) => (r.status, r.text),
        other => panic!("{}: {other:?}", input.escape_ascii()),
    }
}
