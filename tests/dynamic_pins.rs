//! Sessions and orders on peers that a name brings: addresses that vanish, return, had other names, are drained.

use std::collections::BTreeSet;

use crate::resolver::conf;
use crate::support::client::{Response, get_with};
use crate::support::daemon::{Daemon, Program, nginx, nginx_is_current};
use crate::support::dns::{A, Answer, NameServer};
use crate::support::origin::Origin;
use crate::support::{eventually, skipped};

const APP: &str = "app.test";
const KEY: (&str, &[u8]) = ("key", b"a key of sixteen and more bytes");

/// Backends 127.0.0.1 to 127.0.0.3, and the name that brings them.
struct Bed {
    family: Vec<Origin>,
    dns: NameServer,
}

impl Bed {
    fn new(ips: &[&str]) -> Self {
        let family = Origin::family(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
        let dns = NameServer::knows(&[(A, APP, Answer::a(ips))]);
        Self { family, dns }
    }

    fn addr(&self, ip: &str) -> String {
        format!("{ip}:{}", self.family[0].port())
    }

    fn run(&self, program: Program, lines: &str) -> Daemon {
        let text = conf(&format!(
            "resolver {} valid=1s ipv6=off; resolver_timeout 1s;\n\
             set_real_ip_from 127.0.0.1; real_ip_header X-Client;\n\
             upstream u {{ zone z 1m; {lines}; server {APP}:{} resolve; }}\n\
             server {{ listen 127.0.0.1:%%8080%%; location / {{ proxy_pass http://u; }} }}",
            self.dns.addr(),
            self.family[0].port()
        ));
        let told = "add_header X-Status $sticky_status always; location / {";
        let text = if program == Program::Tenrec { text.replace("location / {", told) } else { text };
        Daemon::run(program, &text, &[KEY])
    }

    /// The name means these from now on, and they answer.
    fn now(&self, daemon: &Daemon, ips: &[&str]) {
        self.dns.now(&[(A, APP, Answer::a(ips))]);
        served(daemon, ips);
    }
}

/// Waits until these and no others answer requests of many clients.
#[track_caller]
fn served(daemon: &Daemon, ips: &[&str]) {
    let wanted: BTreeSet<String> = ips.iter().map(|ip| (*ip).to_owned()).collect();
    eventually(&format!("{wanted:?} answer"), || {
        let all: BTreeSet<String> = (0..24).map(|n| of(daemon, n)).collect();
        (all == wanted).then_some(())
    });
}

/// Who answers the client with this number.
fn of(daemon: &Daemon, client: u8) -> String {
    get_with(daemon.port(8080), "/", &format!("X-Client: 10.{client}.7.1\r\n")).text()
}

fn with(daemon: &Daemon, cookie: &str) -> Response {
    get_with(daemon.port(8080), "/", &format!("Cookie: {cookie}\r\n"))
}

/// A session with the backend at `ip`.
fn session(daemon: &Daemon, ip: &str) -> String {
    eventually("a session with it", || {
        let answer = get_with(daemon.port(8080), "/", "");
        (answer.text() == ip).then(|| answer.cookie("route").expect("a cookie"))
    })
}

#[test]
fn addresses_of_clients_choose_as_in_nginx_while_peers_come_and_go() {
    let Some(nginx) = nginx().filter(nginx_is_current) else {
        return skipped("ip_hash on peers that change", "no nginx 1.31");
    };
    // One that is new at a time: of several at once nginx takes any first.
    let steps: [&[&str]; 6] = [
        &["127.0.0.1", "127.0.0.2"],
        &["127.0.0.1", "127.0.0.2", "127.0.0.3"],
        &["127.0.0.2", "127.0.0.3"],
        &["127.0.0.3", "127.0.0.1", "127.0.0.2"],
        &["127.0.0.1"],
        &["127.0.0.1", "127.0.0.3"],
    ];
    let observe = |program: Program| -> Vec<Vec<String>> {
        let bed = Bed::new(&["127.0.0.1"]);
        let daemon = bed.run(program, "ip_hash");
        served(&daemon, &["127.0.0.1"]);
        let choices = |ips: &&[&str]| {
            bed.now(&daemon, ips);
            (0..40).map(|n| of(&daemon, n)).collect()
        };
        steps.iter().map(choices).collect()
    };
    assert_eq!(observe(nginx), observe(Program::Tenrec), "nginx (left), tenrec (right)");
}

#[test]
fn an_alias_means_its_server_whenever_that_is_there() {
    use md5::Digest as _;
    for (sticky, signed) in
        [("session_sticky", false), ("sticky cookie route", false), ("session_sticky", true)]
    {
        let bed = Bed::new(&["127.0.0.1"]);
        let (old, new) = (bed.addr("127.0.0.9"), bed.addr("127.0.0.2"));
        let accept = if signed { "session_sticky_key key; sticky_accept tengine; " } else { "" };
        let daemon = bed.run(Program::Tenrec, &format!("{sticky}; {accept}sticky_alias {old}={new}"));
        let was: String = md5::Md5::digest(&old).iter().map(|b| format!("{b:02x}")).collect();
        let ask = || with(&daemon, &format!("route={was}"));
        served(&daemon, &["127.0.0.1"]);
        assert_eq!(ask().header("X-Status").as_deref(), Some("unknown"), "{sticky} {signed}");
        for _ in 0..2 {
            bed.now(&daemon, &["127.0.0.1", "127.0.0.2"]);
            for _ in 0..4 {
                let answer = ask();
                assert_eq!(
                    (answer.text(), answer.header("X-Status")),
                    ("127.0.0.2".to_owned(), Some("hit".to_owned())),
                    "{sticky} {signed}"
                );
                let given = answer.cookie("route").expect("given anew in the present form");
                assert_eq!(with(&daemon, &given).text(), "127.0.0.2");
                assert_eq!(given.len() == "route=".len() + 44, signed, "{given}");
            }
            bed.now(&daemon, &["127.0.0.1"]);
            assert_eq!(ask().text(), "127.0.0.1", "{sticky} {signed}");
        }
    }
}

#[test]
fn a_signed_session_is_with_its_address_again_when_the_name_has_it_again() {
    for sticky in ["session_sticky maxlife=1000", "sticky cookie route", "session_sticky fallback=off"] {
        let bed = Bed::new(&["127.0.0.1"]);
        let daemon = bed.run(Program::Tenrec, &format!("{sticky}; session_sticky_key key"));
        bed.now(&daemon, &["127.0.0.1", "127.0.0.2"]);
        let mine = session(&daemon, "127.0.0.2");
        let said = |answer: &Response| answer.header("X-Status").unwrap_or_default();
        for _ in 0..2 {
            let there = with(&daemon, &mine);
            assert_eq!((there.text().as_str(), said(&there).as_str()), ("127.0.0.2", "hit"), "{sticky}");
            bed.now(&daemon, &["127.0.0.1", "127.0.0.3"]);
            let gone = with(&daemon, &mine);
            assert_eq!(said(&gone), "unknown", "{sticky}: genuine, and nobody's");
            if sticky.contains("off") {
                assert_eq!(gone.status, 502);
                assert!(gone.header("Set-Cookie").is_some_and(|c| c.starts_with("route=;")), "taken back");
            } else {
                let given = gone.cookie("route").expect("another one");
                assert_eq!(with(&daemon, &given).text(), gone.text());
            }
            bed.now(&daemon, &["127.0.0.3", "127.0.0.2"]);
        }
        let forged =
            with(&daemon, &mine.replace(&mine[10..12], if &mine[10..12] == "AA" { "BB" } else { "AA" }));
        assert_eq!((forged.status, said(&forged).as_str()), (200, "forged"), "{sticky}");
    }
}

#[test]
fn an_order_to_drain_finds_an_address_again_that_left_and_returned() {
    let bed = Bed::new(&["127.0.0.1"]);
    let mut daemon = bed.run(Program::Tenrec, "session_sticky");
    let text = daemon.file("nginx.conf");
    daemon.rewrite(&format!("control on; {text}"));
    daemon.signal("HUP");
    eventually("the socket", || daemon.run_sub(&["peers"]).status.success().then_some(()));
    bed.now(&daemon, &["127.0.0.1", "127.0.0.2"]);
    let mine = session(&daemon, "127.0.0.2");
    let order = |args: &[&str]| {
        let out = daemon.run_sub(args);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let (first, second) = (bed.addr("127.0.0.1"), bed.addr("127.0.0.2"));
    let said = order(&["drain", "u", &second]);
    assert!(said.contains("until undrain or a stop"), "{said}");
    served(&daemon, &["127.0.0.1"]);
    let drained = || {
        let answer = with(&daemon, &mine);
        (answer.text(), answer.header("X-Status").unwrap_or_default())
    };
    let own = ("127.0.0.2".to_owned(), "draining".to_owned());
    assert_eq!(drained(), own, "its own sessions stay");
    bed.now(&daemon, &["127.0.0.1"]);
    eventually("its address is gone", || (drained().1 == "unknown").then_some(()));
    assert!(!order(&["peers"]).contains(&second));
    bed.dns.now(&[(A, APP, Answer::a(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]))]);
    served(&daemon, &["127.0.0.1", "127.0.0.3"]);
    eventually("it is back, and drains", || (drained() == own).then_some(()));
    order(&["undrain", "u", &second]);
    served(&daemon, &["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    // By the text of its line: all addresses that the name has now.
    let said = order(&["drain", "u", &format!("{APP}:{}", bed.family[0].port())]);
    assert!(said.contains(&first) && said.contains(&second), "{said}");
    eventually("requests without a session have nobody", || {
        (get_with(daemon.port(8080), "/", "").status == 502).then_some(())
    });
    assert_eq!(drained(), own);
}
