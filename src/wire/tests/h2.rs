//! Heads of HTTP/2 in the form of all heads.

use hyper::Request;

use super::super::parse::h2_request;
use super::super::{Framing, KnownField, Limits, Method, Refusal, RequestHead, Version};

fn read(uri: &str, fields: &[(&str, &str)], ended: bool) -> Result<RequestHead, Refusal> {
    let mut request = Request::builder().method("GET").uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).expect("a request").into_parts();
    let mut head = RequestHead::default();
    h2_request(&parts, ended, &mut head, &Limits::default()).map(|()| head)
}

#[track_caller]
fn refused(uri: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let refusal = read(uri, fields, true).expect_err("it is none");
    (refusal.status, refusal.text)
}

#[test]
fn pseudo_headers_become_a_line_a_host_and_its_field() {
    let head = read("http://Ex.ORG:81/a//b?c=d", &[("x-a", "1"), ("x-b", "")], true).expect("a head");
    assert_eq!(head.line(), b"GET /a//b?c=d HTTP/2.0");
    assert_eq!((head.method_id, head.target()), (Method::Get, &b"/a//b?c=d"[..]));
    assert_eq!((head.version, head.protocol()), (Version::HTTP_20, &b"HTTP/2.0"[..]));
    assert_eq!((head.host(), head.port, head.host_field), (Some(&b"ex.org"[..]), 81, true));
    assert_eq!(head.get(KnownField::Host), Some(&b"Ex.ORG:81"[..]));
    assert!(!head.simple_path && head.keep_alive && !head.expect_continue);
    let simple = read("http://h/a?b", &[], true).expect("a head");
    assert!(simple.simple_path);
    assert_eq!(simple.args.map(|at| &simple.buf[at as usize..][..1]), Some(&b"b"[..]));
    let from_field = read("/a", &[("host", "h.")], true).expect("a head");
    assert_eq!(from_field.host(), Some(&b"h"[..]));
}

#[test]
fn crumbs_become_one_cookie_and_names_that_are_unusual_go() {
    let fields = [("cookie", "a=1"), ("x_a", "1"), ("x-b", "2"), ("cookie", "b=2"), ("cookie", "")];
    let head = read("http://h/", &fields, true).expect("a head");
    let all: Vec<_> = head.iter().map(|(n, v, _)| (n, v)).collect();
    assert_eq!(all, [(&b"x-b"[..], &b"2"[..]), (b"cookie", b"a=1; b=2; "), (b"host", b"h")]);
}

#[test]
fn a_body_has_the_length_that_was_said_or_ends_with_its_stream() {
    let framing = |fields, ended| read("http://h/", fields, ended).expect("a head").framing;
    assert_eq!(framing(&[], true), Framing::Empty);
    assert_eq!(framing(&[], false), Framing::Chunked);
    assert_eq!(framing(&[("content-length", "7")], false), Framing::Length(7));
    assert_eq!(refused("http://h/", &[("content-length", "x")]).0, 400);
}

#[test]
fn what_makes_no_sense_is_refused_in_nginx_s_words() {
    let neither = "client sent neither \":authority\" nor \"Host\" header";
    assert_eq!(refused("/", &[]), (400, neither.to_owned()));
    let different = "client sent \":authority\" and \"Host\" headers with different values";
    assert_eq!(refused("http://h/", &[("host", "i")]), (400, different.to_owned()));
    assert_eq!(refused("http://a..b/", &[]), (400, "client sent invalid \":authority\" header".to_owned()));
    assert_eq!(refused("*", &[("host", "h")]), (400, "client sent invalid :path header: \"*\"".to_owned()));
    let long = "x".repeat(8193);
    assert_eq!(refused("http://h/", &[("x-a", &long)]), (494, "client sent too large header".to_owned()));
    assert_eq!(refused("http://h/", &[("range", "a"), ("host", "h"), ("host", "h")]).0, 400);
}
