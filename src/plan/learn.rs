//! What `sticky learn` remembers, and where else than in memory.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Template;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyLearn {
    /// The first that is not empty is the name of a session that is to be learned.
    pub create: Vec<Template>,
    /// The same of a session that a request belongs to.
    pub lookup: Vec<Template>,
    pub zone: Box<str>,
    /// Bytes.
    pub size: usize,
    /// How long a session is remembered after its last use.
    pub timeout: Duration,
    /// `header`: learned when the answer's head is there, not at the end.
    pub header: bool,
    /// `None`: sessions end with the program.
    pub snapshot: Option<LearnSnapshot>,
    /// `None`: no other machine knows them.
    pub store: Option<Arc<LearnStore>>,
}

/// `snapshot=`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnSnapshot {
    pub path: PathBuf,
    /// How often it is written, at most.
    pub interval: Duration,
}

/// `store=`: a Redis or Valkey that several machines share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnStore {
    /// One; of a cluster those that are asked for the others.
    pub nodes: Vec<StoreNode>,
    pub cluster: bool,
    /// `None`: plain text.
    pub tls: Option<StoreTls>,
    /// `None`: the default user.
    pub user: Option<Box<str>>,
    /// UTF-8.
    pub password: Option<Secret>,
    /// Where the password was read from.
    pub password_file: Option<PathBuf>,
    pub database: u16,
    /// How long a request waits for an answer, 1 ms to 60 s. Default 50 ms.
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreNode {
    /// The host without brackets.
    Tcp {
        host: Box<str>,
        port: u16,
    },
    Unix(PathBuf),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreTls {
    /// `None`: the authorities that the system trusts.
    pub ca: Option<StoreFile>,
    /// Our certificate and its key.
    pub certificate: Option<(StoreFile, StoreFile)>,
}

/// A file in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFile {
    pub path: PathBuf,
    pub text: Secret,
}

/// Bytes that no message and no log shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub Box<[u8]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// As the log names it: `host:port`, `unix:/path`.
impl fmt::Display for StoreNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
