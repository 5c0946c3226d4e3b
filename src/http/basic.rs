//! `auth_basic`: name and password (RFC 7617) against a file of them.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::OnceLock;

use tokio::sync::Semaphore;

use super::context::Bytes;
use super::gate::Verdict;
use super::{Request, ThreadState};
use crate::diag::Severity;
use crate::sys::{self, err_text};
use crate::values;
use crate::vars;
use crate::wire::{KnownField, Method};

/// Name and password that a client sent.
pub(super) struct Credentials {
    /// `NAME:PASSWORD`
    text: Vec<u8>,
    colon: usize,
}

impl Credentials {
    pub(super) fn user(&self) -> &[u8] {
        self.text.get(..self.colon).unwrap_or_default()
    }

    /// Up to its first NUL, as C takes it.
    fn password(&self) -> &[u8] {
        let rest = self.text.get(self.colon + 1..).unwrap_or_default();
        rest.split(|b| *b == 0).next().unwrap_or_default()
    }
}

/// What the request says; `None`: nothing, or nothing that makes sense.
pub(super) fn credentials(req: &Request) -> Option<Credentials> {
    let field = if for_proxy(req) { KnownField::ProxyAuthorization } else { KnownField::Authorization };
    let (scheme, rest) = req.head.get(field)?.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let text = values::base64(rest.trim_ascii_start())?;
    let colon = memchr::memchr(b':', &text).filter(|&at| at > 0)?;
    Some(Credentials { text, colon })
}

/// A request that is answered as by a proxy that is known to its client.
fn for_proxy(req: &Request) -> bool {
    req.head.method_id == Method::Connect
}

/// The check of the access phase.
pub(super) async fn check(req: &mut Request, thread: &ThreadState) -> Verdict {
    let set = req.location().set.clone();
    let Some(basic) = set.basic.as_deref() else { return Verdict::Silent };
    let realm = vars::eval_to_vec(&basic.realm, req);
    if realm == b"off" {
        return Verdict::Silent;
    }
    let Some(given) = credentials(req) else {
        let text = "no user/password was provided for basic authentication";
        thread.log_error(req, Severity::Info, format_args!("{text}"));
        return ask(req, &realm);
    };
    let mut name = vars::eval_to_vec(&basic.users, req);
    if name.first() != Some(&b'/') {
        name = [basic.folder.as_os_str().as_bytes(), b"/", &name].concat();
    }
    let stored = match find(&name, given.user()) {
        Ok(Some(stored)) => stored,
        Ok(None) => {
            let (user, file) = (Bytes(given.user()), Bytes(&name));
            thread.log_error(
                req,
                Severity::Error,
                format_args!("user \"{user}\" was not found in \"{file}\""),
            );
            return ask(req, &realm);
        }
        Err((call, e)) => {
            let missing = e.raw_os_error() == Some(libc::ENOENT);
            let level = if missing { Severity::Error } else { Severity::Crit };
            let text = format_args!("{call} \"{}\" failed ({})", Bytes(&name), err_text(&e)).to_string();
            thread.log_error(req, level, format_args!("{text}"));
            return Verdict::Out(if missing { 403 } else { 500 });
        }
    };
    match is_right(stored, given.password()).await {
        Ok(true) => Verdict::In,
        Ok(false) => {
            let user = Bytes(given.user());
            thread.log_error(req, Severity::Error, format_args!("user \"{user}\": password mismatch"));
            ask(req, &realm)
        }
        Err(e) => {
            let text = match e.raw_os_error() {
                Some(_) => err_text(&e),
                None => e.to_string(),
            };
            thread.log_error(req, Severity::Crit, format_args!("crypt_r() failed ({text})"));
            Verdict::Out(500)
        }
    }
}

/// 401 and the field that asks for a password; 407 to a client that knows us for a proxy.
fn ask(req: &mut Request, realm: &[u8]) -> Verdict {
    let (name, status) =
        if for_proxy(req) { (&b"Proxy-Authenticate"[..], 407) } else { (&b"WWW-Authenticate"[..], 401) };
    req.out.push_with(name, |out| {
        out.extend_from_slice(b"Basic realm=\"");
        out.extend_from_slice(realm);
        out.push(b'"');
    });
    Verdict::Out(status)
}

/// The password of a user in a file: lines of `NAME:PASSWORD`, whatever follows another colon is a comment. `Err`: which
/// call failed, and how.
fn find(file: &[u8], user: &[u8]) -> Result<Option<Vec<u8>>, (&'static str, io::Error)> {
    let path = Path::new(std::ffi::OsStr::from_bytes(file));
    let opened = File::open(path).map_err(|e| ("open()", e))?;
    let mut lines = BufReader::new(opened);
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(|e| ("read()", e))? == 0 {
            return Ok(None);
        }
        if line.first() == Some(&b'#') {
            continue;
        }
        if let Some(rest) = line.strip_prefix(user).and_then(|rest| rest.strip_prefix(b":")) {
            let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r' | b':')).unwrap_or(rest.len());
            return Ok(rest.get(..end).map(<[u8]>::to_vec));
        }
    }
}

/// Whether a password is the one that is stored. crypt(3) may take its time, which others are not to wait for; no more of
/// these run at once than there are processors.
async fn is_right(stored: Vec<u8>, given: &[u8]) -> io::Result<bool> {
    static TURNS: OnceLock<Semaphore> = OnceLock::new();
    if let Some(right) = values::is_password(&stored, given) {
        return Ok(right);
    }
    let turns =
        TURNS.get_or_init(|| Semaphore::new(std::thread::available_parallelism().map_or(1, Into::into)));
    let _turn = turns.acquire().await.map_err(io::Error::other)?;
    let given = given.to_vec();
    let hashed = tokio::task::spawn_blocking(move || {
        let hash = sys::crypt(&given, &stored)?;
        Ok(values::same(&hash, &stored))
    });
    hashed.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_in_a_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("users");
        std::fs::write(&path, "# a:no\na:1:comment\r\nab:2\n\nc:\nlast:3").expect("written");
        let name = path.as_os_str().as_bytes();
        let of = |user: &str| find(name, user.as_bytes()).expect("readable");
        for (user, want) in [
            ("a", Some("1")),
            ("ab", Some("2")),
            ("c", Some("")),
            ("last", Some("3")),
            ("b", None),
            ("# a", None),
            ("A", None),
        ] {
            assert_eq!(of(user), want.map(|w| w.as_bytes().to_vec()), "{user}");
        }
        assert_eq!(find(b"/nowhere/at/all", b"a").expect_err("none").0, "open()");
    }
}
