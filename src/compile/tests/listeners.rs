//! Which sockets are bound, and which server an address and a name belong to.

use super::plan;
use crate::plan::{ListenAddr, Op, Part, Plan, Return, ServerId, Var};

fn bound(plan: &Plan) -> Vec<(String, usize)> {
    let shown = |addr: &ListenAddr| match addr {
        ListenAddr::Inet(a) => a.to_string(),
        ListenAddr::Unix(path) => path.display().to_string(),
    };
    plan.listeners.iter().map(|l| (shown(&l.bind), l.addrs.len())).collect()
}

#[test]
fn a_wildcard_is_bound_in_place_of_the_addresses_of_its_port() {
    let plan = plan(
        "server { listen 127.0.0.1:81; listen 127.0.0.2:81 bind; listen 82; }
         server { listen *:81; listen unix:/a.sock; }",
    );
    let expect = [("127.0.0.2:81", 1), ("0.0.0.0:81", 2), ("0.0.0.0:82", 1), ("/a.sock", 1)];
    assert_eq!(bound(&plan), expect.map(|(a, n)| (a.to_owned(), n)));
    let wildcard = &plan.listeners[1];
    assert_eq!(wildcard.addrs[0].default_server, ServerId(0));
    assert_eq!(wildcard.addrs[1].default_server, ServerId(1));
}

#[test]
fn a_range_of_ports_is_a_socket_each() {
    let plan = plan("server { listen 127.0.0.1:8001-8003; }");
    assert_eq!(bound(&plan).len(), 3);
}

#[test]
fn names_go_where_they_belong_and_the_default_is_who_says_so() {
    let plan = plan(
        "server { listen 81; server_name A.b *.c.d; }
         server { listen 81 default_server; server_name .x.y w.* ~^re$; }",
    );
    let entry = &plan.listeners[0].addrs[0];
    assert_eq!(entry.default_server, ServerId(1));
    let names = &entry.names;
    assert_eq!(names.exact.get(&b"a.b"[..]), Some(&ServerId(0)));
    assert_eq!(names.exact.get(&b"x.y"[..]), Some(&ServerId(1)));
    let head: Vec<_> = names.head.iter().map(|(n, s)| (&n[..], s.0)).collect();
    assert_eq!(head, [(&b".c.d"[..], 0), (b".x.y", 1)]);
    assert_eq!(names.tail, [((*b"w.").into(), ServerId(1))]);
    assert_eq!(names.regexes.len(), 1);
}

#[test]
fn an_address_with_one_server_asks_for_no_name() {
    let plan = plan("server { listen 81; server_name a; }");
    assert!(plan.listeners[0].addrs[0].names.exact.is_empty());
}

#[test]
fn a_named_group_fills_the_slot_that_a_text_reads() {
    let plan =
        plan("server { listen 81; server_name ~^(?<Sub>.+)$; location / { return 200 $sub$http_x_y; } }");
    let regex = &plan.regexes[0];
    let (group, slot) = regex.names[0];
    assert_eq!((group, &*plan.slots[slot.ix()].name), (1, "sub"));
    let program = plan.locations[1].program.as_ref().expect("a program");
    let [Op::Return(Return { text: Some(text), .. })] = &program.ops[..] else { panic!("{program:?}") };
    assert_eq!(text.parts, [Part::Var(Var::Slot(slot)), Part::Var(Var::Http((*b"x-y").into()))]);
    assert_eq!(plan.listeners[0].addrs[0].names.regexes.len(), 1);
}
