//! The configuration that ships: the file itself, on ports from the kernel.

use std::collections::BTreeMap;

use crate::support::client::{get, get_with};
use crate::support::daemon::Daemon;

fn conf() -> String {
    let mut text = include_str!("../conf.d/tenrec.conf").replace("/tmp/tenrec.pid", "tenrec.pid");
    for port in 8080..=8083 {
        text = text.replace(&format!("127.0.0.1:{port};"), &format!("127.0.0.1:%%{port}%%;"));
    }
    // The tests' own `-g` says it already.
    text.replace("daemon           off;", "")
}

#[test]
fn thirty_requests_with_the_jar_reach_one_backend_and_without_it_all() {
    let daemon = Daemon::start(&conf());
    let first = get(daemon.port(8080), "/");
    let pin = first.cookie("route").expect("the first answer brings the cookie");
    for _ in 0..30 {
        let again = get_with(daemon.port(8080), "/", &format!("Cookie: {pin}\r\n"));
        assert_eq!((again.text(), again.header("Set-Cookie")), (first.text(), None));
    }
    let mut round = BTreeMap::new();
    for _ in 0..30 {
        *round.entry(get(daemon.port(8080), "/").text()).or_insert(0) += 1;
    }
    assert_eq!(round.len(), 3, "{round:?}");
    assert!(round.values().all(|n| (7..=13).contains(n)), "{round:?}");
}

#[test]
fn piped_it_is_quiet() {
    let daemon = Daemon::start(&conf());
    assert_eq!(get(daemon.port(8080), "/").status, 200);
    assert_eq!(daemon.stderr(), "");
}
