//! Both roles against each other, over sockets.

use std::future::poll_fn;
use std::io::IoSlice;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::{First, HandshakeError, connect, first};
use crate::wire::Stream;

fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let der: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut roots = RootCertStore::empty();
    roots.add(der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der], key)
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

fn run<T>(f: impl Future<Output = T>) -> T {
    crate::rt::runtime().unwrap().block_on(async {
        tokio::time::timeout(std::time::Duration::from_secs(30), f).await.expect("it does not hang")
    })
}

async fn accept(stream: Stream, config: Arc<ServerConfig>) -> Result<Stream, HandshakeError> {
    match first(stream, Vec::new()).await? {
        First::Hello(hello) => {
            assert_eq!(hello.client_hello().server_name(), Some("localhost"));
            hello.accept(config).await
        }
        First::Plain(..) => panic!("a hello was sent"),
    }
}

async fn established() -> (Stream, Stream) {
    let (server, client) = configs();
    let (a, b) = UnixStream::pair().unwrap();
    let (a, b) = tokio::join!(accept(a.into(), server), connect(b.into(), client, name()));
    (a.unwrap(), b.unwrap())
}

async fn send(stream: &mut Stream, bytes: &[u8]) {
    let mut at = 0;
    while at < bytes.len() {
        let (one, two) = bytes[at..].split_at((bytes.len() - at) / 3);
        at += poll_fn(|cx| stream.poll_write_vectored(cx, &[IoSlice::new(one), IoSlice::new(two)]))
            .await
            .unwrap();
    }
}

async fn receive(stream: &mut Stream, len: usize) -> Vec<u8> {
    let mut got = Vec::new();
    let mut part = vec![0; 70_000];
    while got.len() < len {
        let n = poll_fn(|cx| stream.poll_read(cx, &mut part)).await.unwrap();
        assert!(n > 0, "it ended after {} of {len} bytes", got.len());
        got.extend_from_slice(&part[..n]);
    }
    got
}

#[test]
fn bytes_come_as_they_were_sent_both_ways() {
    run(async {
        let (mut a, mut b) = established().await;
        let bytes: Vec<u8> = (0..700_000u32).map(|n| (n ^ n >> 8) as u8).collect();
        let (_, got) = tokio::join!(send(&mut a, &bytes), receive(&mut b, bytes.len()));
        assert!(got == bytes);
        let (_, got) = tokio::join!(send(&mut b, &bytes), receive(&mut a, bytes.len()));
        assert!(got == bytes);
        assert!(a.tls().is_some_and(|t| t.session().alpn_protocol().is_none()));
    });
}

#[test]
fn a_closed_stream_says_farewell_and_a_broken_one_ends_all_the_same() {
    run(async {
        let (mut a, mut b) = established().await;
        send(&mut a, b"bye").await;
        drop(a);
        assert_eq!(receive(&mut b, 3).await, b"bye");
        let mut part = [0; 10];
        assert_eq!(poll_fn(|cx| b.poll_read(cx, &mut part)).await.unwrap(), 0);
        assert!(!b.tls().unwrap().has_ended(), "the farewell was read before the end of the socket");

        let (a, mut b) = established().await;
        a.tls().unwrap().silence();
        drop(a);
        assert_eq!(poll_fn(|cx| b.poll_read(cx, &mut part)).await.unwrap(), 0);
    });
}

#[test]
fn what_is_read_ahead_is_told_as_readable() {
    run(async {
        let (mut a, mut b) = established().await;
        send(&mut a, &[7; 1000]).await;
        assert_eq!(receive(&mut b, 1).await.len(), 1000);
        send(&mut a, &[7; 1000]).await;
        let mut one = [0];
        assert_eq!(poll_fn(|cx| b.poll_read(cx, &mut one)).await.unwrap(), 1);
        poll_fn(|cx| b.poll_read_ready(cx)).await.unwrap();
        assert_eq!(receive(&mut b, 999).await.len(), 999);
    });
}

#[test]
fn a_plain_request_is_handed_back() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        client.try_write(b"GET / HTTP/1.0\r\n").unwrap();
        match first(server.into(), Vec::new()).await.unwrap() {
            First::Plain(_, bytes) => assert_eq!(bytes, b"GET / HTTP/1.0\r\n"),
            First::Hello(_) => panic!("no hello was sent"),
        }
    });
}

#[test]
fn failures_are_said_as_openssl_says_them() {
    run(async {
        let (server, client) = configs();
        let (_, stranger) = configs();
        let (a, b) = UnixStream::pair().unwrap();
        let (a, b) = tokio::join!(accept(a.into(), server.clone()), connect(b.into(), stranger, name()));
        let said = a.unwrap_err();
        assert!(said.is_peers());
        let said = said.to_string();
        assert!(
            said.starts_with("SSL_do_handshake() failed (SSL: error:0A000") && said.contains("alert"),
            "{said}"
        );
        let said = b.unwrap_err().to_string();
        assert!(said.ends_with("SSL routines::certificate verify failed)"), "{said}");

        let (a, b) = UnixStream::pair().unwrap();
        drop(b);
        assert!(matches!(first(a.into(), Vec::new()).await, Err(HandshakeError::Closed)));

        let (a, b) = UnixStream::pair().unwrap();
        let client = connect(b.into(), client, name());
        let server = async {
            let First::Hello(hello) = first(a.into(), Vec::new()).await.unwrap() else { panic!("a hello") };
            hello.reject()
        };
        let (a, b) = tokio::join!(server, client);
        assert!(matches!(a, HandshakeError::Rejected));
        let said = b.unwrap_err().to_string();
        assert!(
            said.contains("error:0A000458:SSL routines::tlsv1 unrecognized name:SSL alert number 112"),
            "{said}"
        );

        let (a, b) = UnixStream::pair().unwrap();
        b.try_write(b"\x16\x03\x01\x00\x05hello").unwrap();
        let said = first(a.into(), Vec::new()).await.unwrap_err().to_string();
        assert!(said.contains("SSL routines::"), "{said}");
    });
}
