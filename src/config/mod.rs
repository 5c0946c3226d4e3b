//! Owns: the tree as typed settings, a family a file, one line a field, with nginx's words for what is wrong.
//! May use: diag, values, sys, syntax, source, directives; of plan only the types of values.
//! Never touches: sockets, files, what the settings are for.

mod access;
mod check;
mod core;
mod cx;
mod encoding;
mod error_log;
mod family;
mod found;
mod gate;
mod headers;
mod http;
pub mod learn;
mod listen;
mod location;
mod main_context;
mod names;
pub mod pins;
mod point;
mod proxy;
mod proxy_tls;
mod read;
mod realip;
pub mod resolver;
mod script;
mod set;
mod srv;
pub mod sticky;
mod sticky_ng;
mod store;
mod tables;
mod text;
pub mod upstream;
mod words;

pub use access::{Access, AccessLog, AccessLogs, Formats, Target as LogTo};
pub use check::Checking;
pub use core::{Core, ErrorPage, MSIE6, Root, SAFARI, Types};
pub use cx::{Cx, show};
pub use encoding::Encoding;
pub use found::{Found, Place, Step};
pub use gate::Gate;
pub use headers::{AddHeader, ExpiresSetting, Headers};
pub use http::{Http, Server};
pub use listen::Listen;
pub use location::{Content, Level, Location, TryFile};
pub use main_context::{Events, Main};
pub use names::ServerName;
pub use proxy::{IGNORE, Pass, PassTo, Proxy, Redirect, Target};
pub use proxy_tls::{PROTOCOLS, PasswordFile, ProxyTls, TLSV1_2, TLSV1_3};
pub use read::{Settings, read};
pub use realip::RealIp;
pub use script::{Op, Return, Rewrite, Script, Test};
pub use srv::Srv;
pub use tables::{Map, Split, Table, TableKind};
pub use text::{Pattern, Subject, Text, Tok};
