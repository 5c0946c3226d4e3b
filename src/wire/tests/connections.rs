//! Both ends on real sockets.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::*;

const SOON: Duration = Duration::from_secs(5);
const NOW: Duration = Duration::from_millis(30);

fn run(test: impl Future<Output = ()>) {
    let all = async { tokio::time::timeout(Duration::from_secs(30), test).await.expect("the test ends") };
    crate::rt::runtime().expect("a runtime").block_on(all);
}

fn server() -> (ServerConn, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    (ServerConn::new(ours), theirs)
}

fn client() -> (ClientConn, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    (ClientConn::new(ours), theirs)
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("an address");
    let (near, far) = tokio::join!(TcpStream::connect(addr), listener.accept());
    (near.expect("connected"), far.expect("accepted").0)
}

async fn body_of(conn: &mut ServerConn) -> Result<Vec<u8>, BodyError> {
    let mut all = Vec::new();
    while let Some(part) = conn.read_body(SOON).await? {
        all.extend_from_slice(part);
    }
    Ok(all)
}

/// What `peer` sends next, `len` bytes.
async fn expect(peer: &mut UnixStream, want: &[u8]) {
    let mut got = vec![0; want.len()];
    peer.read_exact(&mut got).await.expect("as many bytes");
    assert_eq!(got.escape_ascii().to_string(), want.escape_ascii().to_string());
}

#[test]
fn pipelined_requests_with_bodies_are_read_in_turn() {
    run(async {
        let (mut conn, mut peer) = server();
        let mut head = RequestHead::default();
        let limits = Limits::default();
        peer.write_all(
            b"\r\nPOST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\r\n\
              POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n\
              GET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .await
        .unwrap();
        for (target, body, trailers) in
            [(b"/1", &b"abc"[..], &b""[..]), (b"/2", b"de", b"T: 1\r\n"), (b"/3", b"", b"")]
        {
            assert_eq!(conn.wait(SOON).await.unwrap(), Idle::Ready);
            conn.read_head(&mut head, &limits).await.unwrap();
            assert_eq!(head.target(), target);
            assert_eq!(body_of(&mut conn).await.unwrap(), body);
            assert!(conn.body_done());
            assert_eq!(conn.trailers(), trailers);
        }
        assert!(!conn.has_input());
    });
}

#[test]
fn head_and_body_leave_in_order_and_are_counted() {
    run(async {
        let (mut conn, mut peer) = server();
        conn.out().extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n");
        conn.send(b"body", SOON).await.unwrap();
        expect(&mut peer, b"HTTP/1.1 200 OK\r\n\r\nbody").await;
        conn.out().extend_from_slice(b"head");
        conn.send_chunk(b"data", false, SOON).await.unwrap();
        conn.send_chunk(b"more", true, SOON).await.unwrap();
        expect(&mut peer, b"head4\r\ndata\r\n4\r\nmore\r\n0\r\n\r\n").await;
        conn.send_chunk(b"", true, SOON).await.unwrap();
        conn.send_continue(SOON).await.unwrap();
        expect(&mut peer, b"0\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n").await;
        assert_eq!(conn.bytes_sent(), 23 + 27 + 5 + 25);
    });
}

#[test]
fn body_larger_than_the_socket_takes_arrives_whole() {
    run(async {
        let (mut conn, mut peer) = server();
        let body: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
        let reader = tokio::task::spawn_local(async move {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).await.unwrap();
            all
        });
        conn.out().extend_from_slice(b"head");
        conn.send(&body, SOON).await.unwrap();
        drop(conn);
        let all = reader.await.unwrap();
        assert!(all.starts_with(b"head") && all[4..] == body[..]);
    });
}

#[test]
fn silent_client_times_out_in_each_state() {
    run(async {
        let (mut conn, mut peer) = server();
        let mut head = RequestHead::default();
        let limits = Limits { timeout: NOW, ..Limits::default() };
        assert_eq!(conn.wait(NOW).await.unwrap(), Idle::TimedOut);
        peer.write_all(b"POST / HTTP/1.1\r\n").await.unwrap();
        assert!(matches!(conn.read_head(&mut head, &limits).await, Err(HeadError::Timeout)));
        peer.write_all(b"Host: a\r\nContent-Length: 2\r\n\r\na").await.unwrap();
        conn.read_head(&mut head, &Limits::default()).await.unwrap();
        assert_eq!(conn.read_body(NOW).await.unwrap(), Some(&b"a"[..]));
        assert!(matches!(conn.read_body(NOW).await, Err(BodyError::Timeout)));
        let full = loop {
            if let Err(e) = conn.send(&[0; 65536], NOW).await {
                break e;
            }
        };
        assert!(matches!(full, SendError::Timeout));
    });
}

#[test]
fn header_timeout_is_for_the_whole_head() {
    run(async {
        let (mut conn, mut peer) = server();
        let mut head = RequestHead::default();
        let limits = Limits { timeout: Duration::from_millis(100), ..Limits::default() };
        let drip = tokio::task::spawn_local(async move {
            while peer.write_all(b"X").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let start = Instant::now();
        assert!(matches!(conn.read_head(&mut head, &limits).await, Err(HeadError::Timeout)));
        assert!(start.elapsed() < Duration::from_secs(3));
        drop(conn);
        drip.await.unwrap();
    });
}

#[test]
fn client_that_goes_away_is_noticed_in_each_state() {
    run(async {
        let mut head = RequestHead::default();
        let limits = Limits::default();
        let (mut conn, peer) = server();
        drop(peer);
        assert_eq!(conn.wait(SOON).await.unwrap(), Idle::Closed);

        let (mut conn, peer) = server();
        drop(peer);
        assert!(matches!(conn.read_head(&mut head, &limits).await, Err(HeadError::Closed)));

        let (mut conn, mut peer) = server();
        peer.write_all(b"GET / HT").await.unwrap();
        drop(peer);
        assert!(matches!(conn.read_head(&mut head, &limits).await, Err(HeadError::Aborted)));

        let (mut conn, mut peer) = server();
        peer.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").await.unwrap();
        drop(peer);
        conn.read_head(&mut head, &limits).await.unwrap();
        assert!(matches!(body_of(&mut conn).await, Err(BodyError::Closed)));
    });
}

#[test]
fn abort_is_seen_while_waiting_and_pipelined_bytes_are_kept() {
    run(async {
        let (mut conn, mut peer) = server();
        let mut head = RequestHead::default();
        peer.write_all(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        conn.read_head(&mut head, &Limits::default()).await.unwrap();
        assert!(tokio::time::timeout(NOW, conn.closed()).await.is_err(), "the client is there");
        peer.write_all(b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(tokio::time::timeout(NOW, conn.closed()).await.is_err(), "it sends ahead");
        drop(peer);
        tokio::time::timeout(SOON, conn.closed()).await.expect("it is gone");
        conn.read_head(&mut head, &Limits::default()).await.unwrap();
        assert_eq!(head.target(), b"/2");
    });
}

#[test]
fn body_is_discarded_without_waiting_when_it_is_there() {
    run(async {
        let (mut conn, mut peer) = server();
        let mut head = RequestHead::default();
        peer.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc").await.unwrap();
        conn.read_head(&mut head, &Limits::default()).await.unwrap();
        assert!(!conn.try_discard_body().unwrap());
        peer.write_all(b"def").await.unwrap();
        conn.discard_body(SOON).await.unwrap();
        assert!(conn.try_discard_body().unwrap());
    });
}

#[test]
fn lingering_close_reads_on_until_the_client_closes() {
    run(async {
        let (near, mut far) = tcp_pair().await;
        let mut conn = ServerConn::new(near);
        far.write_all(&[b'x'; 100_000]).await.unwrap();
        conn.out().extend_from_slice(b"bye");
        conn.flush(SOON).await.unwrap();
        let closing = tokio::task::spawn_local(conn.lingering_close(SOON, SOON));
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.expect("no reset");
        assert_eq!(got, b"bye");
        drop(far);
        closing.await.unwrap();
    });
}

#[test]
fn lingering_close_ends_when_the_client_is_silent() {
    run(async {
        let (near, _far) = tcp_pair().await;
        let start = Instant::now();
        ServerConn::new(near).lingering_close(SOON, NOW).await;
        assert!(start.elapsed() < SOON);
    });
}

#[test]
fn reset_is_seen_by_the_client() {
    run(async {
        let (near, mut far) = tcp_pair().await;
        ServerConn::new(near).reset();
        let bad = far.read(&mut [0; 8]).await.expect_err("no clean end");
        assert_eq!(bad.kind(), std::io::ErrorKind::ConnectionReset);
    });
}

/// Sends `answer` to an exchange and reads it.
async fn exchange(conn: &mut ClientConn, peer: &mut UnixStream, answer: &[u8]) -> (ResponseHead, Vec<u8>) {
    let mut head = ResponseHead::default();
    conn.start();
    conn.out().extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
    conn.send(b"", SOON).await.unwrap();
    expect(peer, b"GET / HTTP/1.1\r\n\r\n").await;
    peer.write_all(answer).await.unwrap();
    conn.read_response_head(&mut head, false, 4096, SOON).await.unwrap();
    let mut body = Vec::new();
    while let Some(part) = conn.read_body(SOON).await.unwrap() {
        body.extend_from_slice(part);
    }
    (head, body)
}

#[test]
fn kept_connection_serves_exchanges_until_it_is_stale() {
    run(async {
        let (mut conn, mut peer) = client();
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        for _ in 0..2 {
            assert_eq!(exchange(&mut conn, &mut peer, ok).await.1, b"hi");
            assert!(conn.is_reusable());
            assert_eq!((conn.bytes_sent(), conn.bytes_received()), (18, ok.len() as u64));
            conn.park();
            assert!(!conn.is_stale());
        }
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        assert_eq!(exchange(&mut conn, &mut peer, chunked).await.1, b"hi");
        assert!(conn.is_reusable());
        drop(peer);
        tokio::time::timeout(SOON, std::future::poll_fn(|cx| conn.poll_stale(cx))).await.expect("seen");
        assert!(conn.is_stale());
    });
}

#[test]
fn answers_that_end_a_connection() {
    run(async {
        for answer in [
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi excess",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ] {
            let (mut conn, mut peer) = client();
            exchange(&mut conn, &mut peer, answer.as_bytes()).await;
            assert!(!conn.is_reusable(), "{answer}");
            assert_eq!(conn.has_excess(), answer.ends_with("excess"));
        }
    });
}

#[test]
fn interim_answers_are_skipped() {
    run(async {
        let (mut conn, mut peer) = client();
        let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
            HTTP/1.1 204 No\r\n\r\n";
        assert_eq!(exchange(&mut conn, &mut peer, answer).await.0.status, 204);
        assert!(conn.is_reusable());
    });
}

#[test]
fn bad_answers() {
    run(async {
        let mut head = ResponseHead::default();
        let (mut conn, mut peer) = client();
        peer.write_all(b"garbage\r\n").await.unwrap();
        let bad = conn.read_response_head(&mut head, false, 4096, SOON).await;
        assert!(matches!(bad, Err(ResponseError::NotHttp)));
        drop(peer);
        conn.take_all_as_body();
        assert_eq!(conn.read_body(SOON).await.unwrap(), Some(&b"garbage\r\n"[..]));
        assert_eq!(conn.read_body(SOON).await.unwrap(), None);

        let (mut conn, mut peer) = client();
        peer.write_all(&[b"HTTP/1.1 200 OK\r\nX: ", &[b'a'; 5000][..]].concat()).await.unwrap();
        let bad = conn.read_response_head(&mut head, false, 4096, SOON).await;
        assert!(matches!(bad, Err(ResponseError::TooBig)));

        let (mut conn, mut peer) = client();
        let bad = conn.read_response_head(&mut head, false, 4096, NOW).await;
        assert!(matches!(bad, Err(ResponseError::Timeout)));
        peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").await.unwrap();
        conn.read_response_head(&mut head, false, 4096, SOON).await.unwrap();
        drop(peer);
        assert_eq!(conn.read_body(SOON).await.unwrap(), Some(&b"ab"[..]));
        assert!(matches!(conn.read_body(SOON).await, Err(BodyError::Closed)));

        let (mut conn, peer) = client();
        drop(peer);
        let bad = conn.read_response_head(&mut head, false, 4096, SOON).await;
        assert!(matches!(bad, Err(ResponseError::Closed)));
    });
}

#[test]
fn large_answer_is_read_in_parts_and_whole() {
    run(async {
        let (mut conn, mut peer) = client();
        let body: Vec<u8> = (0..1_000_000_u32).map(|n| (n / 3) as u8).collect();
        let sent = body.clone();
        tokio::task::spawn_local(async move {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", sent.len());
            peer.write_all(head.as_bytes()).await.unwrap();
            peer.write_all(&sent).await.unwrap();
        });
        let mut head = ResponseHead::default();
        conn.read_response_head(&mut head, false, 4096, SOON).await.unwrap();
        let mut got = Vec::new();
        // What the reader leaves of a part is there the next time.
        while conn.fill_body(SOON).await.unwrap() {
            let n = conn.body().len().div_ceil(2);
            got.extend_from_slice(&conn.body()[..n]);
            conn.consume_body(n);
        }
        assert!(got == body);
        assert_eq!(conn.body_bytes(), 1_000_000);
    });
}

#[test]
fn tunnel_passes_leftovers_and_both_directions() {
    run(async {
        let (mut down, mut browser) = server();
        let (mut up, mut peer) = client();
        let mut head = RequestHead::default();
        browser.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nearly").await.unwrap();
        down.read_head(&mut head, &Limits::default()).await.unwrap();
        peer.write_all(b"HTTP/1.1 101 Yes\r\n\r\nhello").await.unwrap();
        let mut answer = ResponseHead::default();
        up.read_response_head(&mut answer, false, 4096, SOON).await.unwrap();
        assert!(answer.upgrade);
        down.out().extend_from_slice(b"HTTP/1.1 101 Yes\r\n\r\n");
        let tunnel = tokio::task::spawn_local(async move { tunnel(&mut down, &mut up, SOON).await });
        expect(&mut browser, b"HTTP/1.1 101 Yes\r\n\r\nhello").await;
        expect(&mut peer, b"early").await;
        browser.write_all(b"ping").await.unwrap();
        expect(&mut peer, b"ping").await;
        peer.write_all(b"pong").await.unwrap();
        expect(&mut browser, b"pong").await;
        browser.shutdown().await.unwrap();
        assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 0, "the peer is told");
        peer.write_all(b"last words").await.unwrap();
        expect(&mut browser, b"last words").await;
        drop(peer);
        assert!(matches!(tunnel.await.unwrap(), TunnelEnd::Closed));
    });
}

#[test]
fn a_tunnel_that_is_told_to_end_says_farewell_to_both() {
    run(async {
        for (websocket, half_sent) in [(true, false), (true, true), (false, false)] {
            let (mut down, mut browser) = server();
            let (mut up, mut peer) = client();
            let (stop, told) = tokio::sync::oneshot::channel::<()>();
            let tunnel = tokio::task::spawn_local(async move {
                let stop = async {
                    let _ = told.await;
                };
                tunnel_until(&mut down, &mut up, SOON, websocket, stop).await
            });
            peer.write_all(b"\x81\x02hi").await.unwrap();
            expect(&mut browser, b"\x81\x02hi").await;
            if half_sent {
                peer.write_all(b"\x81\x02h").await.unwrap();
                expect(&mut browser, b"\x81\x02h").await;
            }
            stop.send(()).unwrap();
            let mut told = Vec::new();
            browser.read_to_end(&mut told).await.unwrap();
            let farewell: &[u8] = if websocket && !half_sent { b"\x88\x02\x03\xe9" } else { b"" };
            assert_eq!(told, farewell, "{websocket} {half_sent}");
            told.clear();
            peer.read_to_end(&mut told).await.unwrap();
            assert_eq!(told, if websocket { &b"\x88\x82\0\0\0\0\x03\xe9"[..] } else { b"" });
            // What comes now reaches nobody, and harms nobody.
            browser.write_all(b"\x88\x82\0\0\0\0\x03\xe9").await.unwrap();
            drop((browser, peer));
            assert!(matches!(tunnel.await.unwrap(), TunnelEnd::Stopped));
        }
    });
}

#[test]
fn silent_tunnel_ends() {
    run(async {
        let (mut down, _browser) = server();
        let (mut up, _peer) = client();
        assert!(matches!(tunnel(&mut down, &mut up, NOW).await, TunnelEnd::Idle));
    });
}
