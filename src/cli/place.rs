//! Where the configuration and the built-in error log are.
//!
//! With `-p`, or in a build that was given a prefix (the variable `TENREC_PREFIX` while it was compiled), everything is as
//! with nginx: `-c` or `conf/nginx.conf`, `-e` or `logs/error.log`, both under the prefix. Otherwise the prefix is the
//! current directory, and without `-c` the first file there is of [`SEARCH`] is taken, `conf.d/tenrec.conf` of the
//! package after the first when Cargo runs the program. An error log that nobody named is the standard error where
//! there is no `logs` folder. A configuration in /etc/nginx brings its prefix along, the one nginx's own packages have.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::args::Args;

/// The prefix of this build.
pub(super) const PREFIX: Option<&str> = option_env!("TENREC_PREFIX");
pub(super) const CONF: &str = "conf/nginx.conf";
pub(super) const ERROR_LOG: &str = "logs/error.log";
/// Where a configuration is looked for when neither `-c` nor `-p` says, against the current directory.
pub(super) const SEARCH: &[&str] = &["conf.d/tenrec.conf", CONF, SYSTEM];
const SYSTEM: &str = "/etc/nginx/nginx.conf";

#[derive(Debug)]
pub(super) struct Place {
    /// Ends in a slash.
    pub(super) prefix: PathBuf,
    pub(super) conf: PathBuf,
    /// `None`: the standard error.
    pub(super) error_log: Option<PathBuf>,
}

impl Place {
    pub(super) fn find(args: &Args) -> io::Result<Self> {
        let given = args.prefix.as_deref().or(PREFIX.map(OsStr::new));
        let (prefix, conf) = match given {
            Some(prefix) => (slash(Path::new(prefix)), None),
            None => {
                let here = std::env::current_dir()?;
                let conf = if args.conf.is_none() { Some(search(&here)) } else { None };
                let named = conf.as_deref().or(args.conf.as_deref().map(Path::new));
                let etc = named.is_some_and(|c| c.starts_with("/etc/nginx"));
                (slash(if etc { Path::new("/etc/nginx") } else { &here }), conf)
            }
        };
        let conf = conf.unwrap_or_else(|| join(&prefix, args.conf.as_deref().unwrap_or(OsStr::new(CONF))));
        let error_log = match &args.error_log {
            Some(name) if name.is_empty() => None,
            Some(name) => Some(join(&prefix, name)),
            None => Some(join(&prefix, OsStr::new(ERROR_LOG)))
                .filter(|log| given.is_some() || log.parent().is_some_and(Path::is_dir)),
        };
        Ok(Self { prefix, conf, error_log })
    }
}

/// The first configuration that is there; the first name of all when none is.
fn search(here: &Path) -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let package = package.and_then(|dir| SEARCH.first().map(|name| dir.join(name)));
    let mut places: Vec<PathBuf> = SEARCH.iter().map(|name| here.join(name)).collect();
    places.splice(1..1, package);
    places.iter().find(|p| p.is_file()).or(places.first()).cloned().unwrap_or_default()
}

/// nginx puts prefix and name together as texts.
fn join(prefix: &Path, name: &OsStr) -> PathBuf {
    if name.as_bytes().first() == Some(&b'/') {
        return name.into();
    }
    let mut full = prefix.as_os_str().to_owned();
    full.push(name);
    full.into()
}

fn slash(dir: &Path) -> PathBuf {
    let mut text = dir.as_os_str().to_owned();
    if !text.is_empty() && !text.as_bytes().ends_with(b"/") {
        text.push("/");
    }
    text.into()
}
