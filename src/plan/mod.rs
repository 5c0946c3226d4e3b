//! Owns: the immutable program that all threads of a worker share: what `compile` makes of the settings.
//! May use: diag, values, sys, tls, syntax (no more than their types).
//! Never touches: the text of a configuration, sockets, the clock.

mod check;
mod encoding;
mod geo;
mod learn;
mod limit;
mod location;
mod pins;
mod process;
mod proxy_tls;
mod referer;
mod resolver;
mod script;
mod server;
mod table;
mod template;
mod tls;
mod upstream;

pub use check::*;
pub use encoding::*;
pub use geo::*;
pub use learn::*;
pub use limit::*;
pub use location::*;
pub use pins::*;
pub use process::*;
pub use proxy_tls::*;
pub use referer::*;
pub use resolver::*;
pub use script::*;
pub use server::*;
pub use table::*;
pub use template::*;
pub use tls::*;
pub use upstream::*;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            pub fn ix(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

ids! {
    /// Index into [`Plan::servers`].
    ServerId
    /// Index into [`Plan::locations`].
    LocId
    /// Index into [`Plan::upstreams`].
    UpstreamId
    /// Index into [`Upstream::peers`]: primary peers first, then backups.
    PeerId
    /// Index into [`Plan::log_files`].
    LogFileId
    /// Index into [`Plan::log_formats`].
    LogFormatId
    /// Index into [`Plan::resolvers`].
    ResolverId
    /// Index into [`Plan::regexes`].
    RegexId
    /// A variable that the configuration made (`set`, `map`, a named capture), by its slot in a request.
    SlotId
}

/// Everything that serving needs to know, fixed until the next reload.
#[derive(Debug, Default)]
pub struct Plan {
    pub process: Process,
    pub listeners: Vec<Listener>,
    pub servers: Vec<Server>,
    pub locations: Vec<Location>,
    pub upstreams: Vec<Upstream>,
    pub resolvers: Vec<Resolver>,
    /// How many settings of TLS towards servers there are: [`ProxyTls::id`] is from 1 to this.
    pub proxy_tls: u32,
    /// Every peer that is checked, in the order of `check_status`.
    pub checked: Vec<Checked>,
    pub limit_zones: Vec<LimitZone>,
    pub log_files: Vec<LogFile>,
    /// The files of all logs in the order in which the configuration names them: that of opening.
    pub log_order: Vec<std::path::PathBuf>,
    pub log_formats: Vec<LogFormat>,
    pub regexes: Vec<Regex>,
    /// The variables that the configuration made, by [`SlotId`].
    pub slots: Vec<Slot>,
    pub tls: TlsMemory,
    /// An upstream has `sticky_parallel`.
    pub parallel: bool,
}

impl Plan {
    /// After a reload: pins that were signed with a key made up at start stay good, and so do sessions of TLS.
    pub fn keep_random_keys(&mut self, old: &Self) {
        self.tls.adopt(&old.tls);
        for upstream in &mut self.upstreams {
            if let Some(same) = old.upstreams.iter().find(|o| o.name == upstream.name) {
                upstream.keep_random_keys(same);
            }
        }
    }
}
