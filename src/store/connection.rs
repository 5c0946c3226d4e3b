//! A connection to one server or to a cluster.

use std::fmt;
use std::time::Duration;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo as _, Pipeline, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError,
    TlsCertificates, TlsMode, Value,
};
use tokio::sync::mpsc::UnboundedSender;

use super::command::Names;
use crate::plan::{LearnStore, StoreNode};
use crate::sticky::Key;

/// How long connecting may take, and writing.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(super) enum Link {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// The server's or the system's words.
    pub(super) text: String,
    /// The connection is of no use any more.
    pub(super) gone: bool,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<RedisError> for Trouble {
    fn from(e: RedisError) -> Self {
        let gone =
            e.is_io_error() || e.is_connection_dropped() || e.is_timeout() || e.is_unrecoverable_error();
        Self { text: e.to_string(), gone }
    }
}

pub(super) type Answer = Result<Value, Trouble>;

impl Link {
    /// Connects, logs in, subscribes and asks for something: from then on it can be relied on.
    pub(super) async fn open(
        store: &LearnStore,
        names: &Names,
        pushes: UnboundedSender<PushInfo>,
    ) -> Result<Self, Trouble> {
        let mut link = match tokio::time::timeout(PATIENCE, Self::connect(store, pushes)).await {
            Ok(link) => link?,
            Err(_) => return Err(late()),
        };
        let begin = async {
            match &mut link {
                Self::One(c) => c.subscribe(names.channel()).await?,
                Self::Cluster(c) => c.subscribe(names.channel()).await?,
            }
            let probe = link.send(vec![names.get(Key::of(b""))]).await.pop();
            probe.unwrap_or_else(|| Err(late())).map(drop)
        };
        match tokio::time::timeout(PATIENCE, begin).await {
            Ok(begun) => begun.map(|()| link),
            Err(_) => Err(late()),
        }
    }

    async fn connect(store: &LearnStore, pushes: UnboundedSender<PushInfo>) -> Result<Self, Trouble> {
        let certificates = store.tls.as_ref().and_then(|tls| {
            let client_tls = tls.certificate.as_ref().map(|(certificate, key)| ClientTlsConfig {
                client_cert: certificate.text.0.to_vec(),
                client_key: key.text.0.to_vec(),
            });
            let root_cert = tls.ca.as_ref().map(|ca| ca.text.0.to_vec());
            (client_tls.is_some() || root_cert.is_some()).then_some(TlsCertificates { client_tls, root_cert })
        });
        let mut nodes = store.nodes.iter().map(|node| info(store, node)).collect::<Result<Vec<_>, _>>()?;
        if store.cluster {
            let mut builder = ClusterClient::builder(nodes)
                .use_protocol(ProtocolVersion::RESP3)
                .push_sender(pushes)
                .connection_timeout(PATIENCE)
                .response_timeout(PATIENCE)
                .retries(1);
            if store.tls.is_some() {
                builder = builder.tls(TlsMode::Secure);
            }
            if let Some(certificates) = certificates {
                builder = builder.certs(certificates);
            }
            return Ok(Self::Cluster(builder.build()?.get_async_connection().await?));
        }
        let Some(node) = nodes.pop() else { return Err(late()) };
        let client = match certificates {
            Some(certificates) => Client::build_with_tls(node, certificates)?,
            None => Client::open(node)?,
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_push_sender(pushes);
        Ok(Self::One(client.get_multiplexed_async_connection_with_config(&config).await?))
    }

    /// Sends commands in this order; an answer for each.
    pub(super) async fn send(&self, commands: Vec<Cmd>) -> Vec<Answer> {
        let n = commands.len();
        match self {
            Self::One(connection) => {
                let mut pipeline = Pipeline::with_capacity(n);
                for command in commands {
                    pipeline.add_command(command);
                }
                let sent = connection.clone().req_packed_commands(&pipeline, 0, n).await;
                match sent {
                    Ok(values) => values.into_iter().map(answer).collect(),
                    Err(e) => vec![Err(Trouble::from(e)); n],
                }
            }
            Self::Cluster(connection) => {
                let send = |command: Cmd| {
                    let mut connection = connection.clone();
                    tokio::spawn(async move { connection.req_packed_command(&command).await })
                };
                let all: Vec<_> = commands.into_iter().map(send).collect();
                let mut answers = Vec::with_capacity(n);
                for one in all {
                    answers.push(match one.await {
                        Ok(Ok(value)) => answer(value),
                        // A cluster looks for a new connection itself.
                        Ok(Err(e)) => Err(Trouble { gone: false, ..e.into() }),
                        Err(_) => Err(late()),
                    });
                }
                answers
            }
        }
    }
}

pub(super) fn late() -> Trouble {
    Trouble { text: "its answers come too late".to_owned(), gone: true }
}

fn answer(value: Value) -> Answer {
    match value {
        Value::ServerError(e) => Err(Trouble {
            text: [e.code(), e.details().unwrap_or_default()].join(" ").trim().to_owned(),
            gone: false,
        }),
        value => Ok(value),
    }
}

fn info(store: &LearnStore, node: &StoreNode) -> Result<ConnectionInfo, Trouble> {
    let addr = match node {
        StoreNode::Tcp { host, port } if store.tls.is_some() => {
            ConnectionAddr::TcpTls { host: host.to_string(), port: *port, insecure: false, tls_params: None }
        }
        StoreNode::Tcp { host, port } => ConnectionAddr::Tcp(host.to_string(), *port),
        StoreNode::Unix(path) => ConnectionAddr::Unix(path.clone()),
    };
    let mut settings = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_db(i64::from(store.database))
        .set_skip_set_lib_name();
    if let Some(user) = &store.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &store.password {
        settings = settings.set_password(String::from_utf8_lossy(&password.0));
    }
    Ok(addr.into_connection_info()?.set_redis_settings(settings))
}
