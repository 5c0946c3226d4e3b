//! What the command line says about the process.

use std::ffi::OsString;
use std::path::PathBuf;

/// How this program was started; it holds for every reload too.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `-p`: what relative paths of the command line and most relative paths of the configuration are under. Ends in
    /// a slash.
    pub prefix: PathBuf,
    /// `-c`, made absolute with the prefix.
    pub conf: PathBuf,
    /// `-g`.
    pub globals: Option<String>,
    /// `-e` or the default, made absolute; `None`: the standard error.
    pub error_log: Option<PathBuf>,
    /// The whole command line, for a new binary and nothing else.
    pub argv: Vec<OsString>,
    /// Prints what listens and where the logs are once it runs: the start is at a terminal.
    pub greet: bool,
}
