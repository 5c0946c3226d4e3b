//! Owns: text to typed value, a file a production of `grammar/values.ebnf`, and the few values that go back to text,
//! signed pins among them.
//! May use: nothing of tenrec.
//! Never touches: files, the clock, the name of any directive.

mod address;
mod cidr;
mod cookie_date;
mod date;
mod flag;
mod foreign;
mod http_date;
mod number;
mod password;
mod percent;
mod seal;
mod size;
mod template;
mod time;

pub use address::{Address, AddressError, Host, http_url, listen, server, url};
pub use cidr::{Cidr, cidr};
pub use cookie_date::{cookie_date, push_cookie_date, push_full_cookie_date};
pub use date::Civil;
pub use flag::flag;
pub use foreign::{f5_cookies, haproxy_date};
pub use http_date::{http_date, push_http_date};
pub use number::number;
pub use password::{base64, is_password, same};
pub use percent::{c_text, percent_decode, percent_decode_into};
pub use seal::{KEY_MIN, PIN_LEN, Pin, PinKey, PinScope, PinTag};
pub use size::{offset, size};
pub use template::{TemplateError, Token, template};
pub use time::{msec, sec};

use nom::combinator::all_consuming;
use nom::error::Error;
use nom::{Finish, Parser};

/// Runs a production over the whole of a text.
fn whole<'t, T>(
    production: impl Parser<&'t [u8], Output = T, Error = Error<&'t [u8]>>,
    text: &'t [u8],
) -> Option<T> {
    all_consuming(production).parse(text).finish().ok().map(|(_, value)| value)
}

#[cfg(test)]
mod tests;
