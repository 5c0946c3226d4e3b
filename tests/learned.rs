//! `sticky learn`: by whatever key, over a reload, a restart and another size of its zone; beside nginx.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use crate::support::client::get;
use crate::support::daemon::{Daemon, Program, nginx, once};
use crate::support::origin::Origin;
use crate::support::{SOON, eventually, skipped};

/// A front over these backends; `learn` are the words behind `sticky learn`.
fn conf(origins: &[Origin], learn: &str) -> String {
    let servers: String = origins.iter().map(|o| format!("server {};\n", o.addr())).collect();
    format!(
        "pid tenrec.pid; worker_processes 1; error_log error.log info;\nevents {{ }}\nhttp {{\n\
         access_log off;\nmap \"$remote_addr|$http_x_tenant\" $who {{ ~^(?<both>.+\\|.+)$ $both; default $remote_addr; }}\n\
         upstream u {{\n{servers}\nsticky learn {learn};\n}}\n\
         server {{ listen 127.0.0.1:%%8080%%; location / {{ proxy_pass http://u; }} }}\n}}\n"
    )
}

const BY_ARG: &str = "create=$arg_s lookup=$arg_s timeout=10m";

fn backends() -> Vec<Origin> {
    ["a", "b", "c"].map(Origin::says).into()
}

/// Who answers each of these sessions.
fn asked(port: u16, sessions: std::ops::Range<usize>) -> BTreeMap<usize, String> {
    sessions.map(|n| (n, get(port, &format!("/?s={n}")).text())).collect()
}

/// Asks each session until two of them are with each backend at least: no round robin gives this twice by chance.
fn opened(daemon: &Daemon, origins: &[Origin]) -> BTreeMap<usize, String> {
    let port = daemon.port(8080);
    for n in 0..30 {
        get(port, &format!("/?s={n}"));
        // The next session is not due at the next backend.
        if n % 4 == 1 {
            get(port, "/");
        }
    }
    let known = asked(port, 0..30);
    let with = |name: &str| known.values().filter(|v| *v == name).count();
    assert!(["a", "b", "c"][..origins.len()].iter().all(|n| with(n) >= 2), "{known:?}");
    known
}

/// A request from an address of this machine.
fn from(client: Ipv4Addr, port: u16, field: &str) -> String {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((client, 0)).into()).unwrap();
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    let mut stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(format!("GET / HTTP/1.0\r\nHost: a\r\n{field}\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned()
}

#[test]
fn sessions_outlive_a_restart() {
    let origins = backends();
    let conf = conf(&origins, &format!("{BY_ARG} zone=z:64k snapshot=s.bin"));
    let mut first = Daemon::start(&conf);
    let known = opened(&first, &origins);
    for (signal, reverse) in [("QUIT", false), ("TERM", true)] {
        first.signal(signal);
        assert!(first.wait().success());
        let file = std::fs::read(first.prefix().join("s.bin")).unwrap();
        let mode = std::fs::metadata(first.prefix().join("s.bin")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "names of sessions are nobody's business");
        first = Daemon::run(Program::Tenrec, &conf, &[("s.bin", &file)]);
        first.logged("error.log", "sessions of sticky zone \"z\": 30 restored from");
        let mut order: Vec<usize> = (0..30).collect();
        if reverse {
            order.reverse();
        }
        for n in order {
            assert_eq!(get(first.port(8080), &format!("/?s={n}")).text(), known[&n], "session {n}, {signal}");
        }
    }
}

#[test]
fn the_file_is_written_while_it_serves_and_without_a_master_too() {
    for main in ["", "master_process off;"] {
        let origins = backends();
        let learn = format!("{BY_ARG} zone=z:64k snapshot=s.bin snapshot_interval=1s");
        let mut daemon = Daemon::start(&format!("{main}{}", conf(&origins, &learn)));
        let known = opened(&daemon, &origins);
        let file = eventually("a file with all sessions", || {
            let file = std::fs::read(daemon.prefix().join("s.bin")).ok()?;
            // The number of sessions stands before the two checksums at the end.
            (file.get(file.len() - 16..)?.first() == Some(&30)).then_some(file)
        });
        assert!(!daemon.prefix().join("s.bin.new").exists());
        let next = Daemon::run(Program::Tenrec, &conf(&origins, &learn), &[("s.bin", &file)]);
        assert_eq!(asked(next.port(8080), 0..30), known);
        daemon.signal("QUIT");
        assert!(daemon.wait().success());
        assert!(!daemon.file("error.log").contains("[alert]"), "{}", daemon.file("error.log"));
    }
}

#[test]
fn a_zone_of_another_size_keeps_its_sessions() {
    let origins = backends();
    let of = |size: &str| conf(&origins, &format!("{BY_ARG} zone=z:{size}"));
    let mut daemon = Daemon::start(&of("64k"));
    let known = opened(&daemon, &origins);
    for (turn, size) in ["1m", "32k", "48k"].into_iter().enumerate() {
        daemon.rewrite(&of(size));
        daemon.control(&["-s", "reload"]);
        eventually("the old worker is gone", || {
            (daemon.file("error.log").matches("exited with code 0").count() > turn).then_some(())
        });
        assert_eq!(asked(daemon.port(8080), 0..30), known, "{size}");
    }
}

#[test]
fn a_file_that_is_no_good_is_said_and_costs_only_what_is_in_it() {
    let origins = backends();
    let conf_of = |zone: &str| conf(&origins, &format!("{BY_ARG} zone={zone}:64k snapshot=s.bin"));
    let mut first = Daemon::start(&conf_of("z"));
    opened(&first, &origins);
    first.signal("QUIT");
    first.wait();
    let good = std::fs::read(first.prefix().join("s.bin")).unwrap();
    let (mut flipped, mut newer) = (good.clone(), good.clone());
    flipped[60] ^= 1;
    newer[16] = 2;
    for (file, said) in [
        (&good[..good.len() / 2], "it is truncated; 0 restored"),
        (&flipped, "its checksum is wrong; 0 restored"),
        (&newer, "it is of version 2, which this program does not know; 0 restored"),
        (b"# nothing of ours\n", "it is no file of sessions; 0 restored"),
        (b"", "it is no file of sessions; 0 restored"),
    ] {
        let daemon = Daemon::run(Program::Tenrec, &conf_of("z"), &[("s.bin", file)]);
        assert_eq!(get(daemon.port(8080), "/?s=1").status, 200);
        let line = daemon.logged("error.log", said);
        assert!(line.contains("[error]") && line.contains("s.bin"), "{line}");
    }
    let mut daemon = Daemon::run(Program::Tenrec, &conf_of("y"), &[]);
    std::fs::write(daemon.prefix().join("s.bin"), &good).unwrap();
    std::fs::set_permissions(daemon.prefix().join("s.bin"), std::fs::Permissions::from_mode(0o666)).unwrap();
    daemon.rewrite(&conf_of("z"));
    daemon.control(&["-s", "reload"]);
    daemon.logged("error.log", "others may write to it (mode 666)");
    assert_eq!(get(daemon.port(8080), "/?s=1").status, 200);
    let daemon = Daemon::run(Program::Tenrec, &conf_of("z"), &[("s.bin/x", b"")]);
    daemon.logged("error.log", "open() failed (not a regular file)");
    assert_eq!(get(daemon.port(8080), "/?s=1").status, 200);
}

#[test]
fn a_file_that_cannot_be_written_is_said_and_nothing_else_suffers() {
    let origins = backends();
    let learn = format!("{BY_ARG} zone=z:64k snapshot=d/s.bin snapshot_interval=1s");
    let mut daemon = Daemon::run(Program::Tenrec, &conf(&origins, &learn), &[("d/s.bin.new/x", b"")]);
    get(daemon.port(8080), "/?s=1");
    let line = daemon.logged("error.log", "sessions of sticky zone \"z\" not saved to");
    assert!(line.contains("[alert]") && line.contains("unlink() failed"), "{line}");
    assert_eq!(get(daemon.port(8080), "/?s=1").status, 200);
    daemon.signal("QUIT");
    assert!(daemon.wait().success());
    let none =
        once(&Program::Tenrec, &conf(&origins, &format!("{BY_ARG} zone=z:64k snapshot=no/s")), &["-t"]);
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(
        !none.status.success() && said.contains("/no/s\" failed (2: No such file or directory)"),
        "{said}"
    );
}

#[test]
fn a_peer_that_went_while_the_program_was_away_gives_its_sessions_to_others() {
    let mut origins = backends();
    let words = format!("{BY_ARG} zone=z:64k snapshot=s.bin");
    let mut first = Daemon::start(&conf(&origins, &words));
    let known = opened(&first, &origins);
    first.signal("QUIT");
    first.wait();
    let file = std::fs::read(first.prefix().join("s.bin")).unwrap();
    // The others change their places, too.
    origins.reverse();
    let gone = origins.remove(0);
    let daemon = Daemon::run(Program::Tenrec, &conf(&origins, &words), &[("s.bin", &file)]);
    for (n, was) in &known {
        let now = get(daemon.port(8080), &format!("/?s={n}")).text();
        assert!(now == *was || was == "c" && now != "c", "session {n}: {was}, now {now}");
    }
    drop(gone);
}

/// The same requests in the same order, from clients at addresses of their own, give the same backends as with nginx.
#[test]
fn sessions_by_source_address_and_by_two_keys_are_nginxs() {
    let test = "sticky learn beside nginx";
    let Some(nginx) = nginx() else { return skipped(test, "no nginx here") };
    let origins = backends();
    for words in [
        "create=$remote_addr lookup=$remote_addr zone=z:64k timeout=600ms",
        "create=$who lookup=$who zone=z:64k timeout=1m",
        "create=$remote_addr lookup=$remote_addr zone=z:64k header",
        "create=$http_x_tenant create=$remote_addr lookup=$http_x_tenant lookup=$remote_addr zone=z:64k",
        "create=$upstream_http_x_none lookup=$remote_addr zone=z:64k",
        "create=$upstream_status lookup=$status zone=z:64k",
        "create=$upstream_addr lookup=$http_x_tenant zone=z:64k",
    ] {
        let conf = conf(&origins, words);
        let probe = once(&nginx, &conf, &["-t"]);
        if !probe.status.success() {
            return skipped(test, "this nginx has no sticky");
        }
        let run = |program: &Program| {
            let daemon = Daemon::run(program.clone(), &conf, &[]);
            let mut seen = String::new();
            for round in 0..3 {
                for (client, tenant) in
                    [(2, ""), (3, ""), (2, "t1"), (4, "t1"), (5, "t2"), (2, ""), (3, "t2"), (4, ""), (6, "")]
                {
                    let field =
                        if tenant.is_empty() { String::new() } else { format!("X-Tenant: {tenant}\r\n") };
                    seen += &from(Ipv4Addr::new(127, 0, 0, client), daemon.port(8080), &field);
                }
                // One request that no session has: the next round would begin elsewhere.
                seen += &from(Ipv4Addr::new(127, 0, 1, round + 1), daemon.port(8080), "");
                if words.contains("600ms") && round == 1 {
                    std::thread::sleep(Duration::from_millis(900));
                }
                seen.push(' ');
            }
            seen
        };
        assert_eq!(run(&Program::Tenrec), run(&nginx), "{words}");
    }
}

/// Executes the binary anew, sends the old master home after `meanwhile`, and gives the new one's pid.
fn upgraded(daemon: &mut Daemon, meanwhile: impl FnOnce(&Daemon)) -> i32 {
    daemon.signal("USR2");
    let old = daemon.pid();
    let new = eventually("the new master serves", || {
        let pid: i32 = daemon.file("tenrec.pid").trim().parse().ok()?;
        (pid != old && !super::process_signals::children(pid).is_empty()).then_some(pid)
    });
    meanwhile(daemon);
    daemon.signal("QUIT");
    assert!(daemon.wait().success());
    new
}

#[test]
fn a_new_binary_goes_on_with_the_sessions_and_the_keys_that_were_made_up() {
    let origins = backends();
    let conf = conf(&origins, &format!("{BY_ARG} zone=l:64k")).replace(
        "upstream u {",
        &format!(
            "upstream s {{ session_sticky signed; {} }}\nupstream u {{",
            origins.iter().map(|o| format!("server {};", o.addr())).collect::<String>()
        ),
    );
    let status = "add_header X-Status $sticky_status; location /s { proxy_pass http://s; } location / {";
    let mut daemon = Daemon::start(&conf.replace("location / {", status));
    let port = daemon.port(8080);
    let mut known = opened(&daemon, &origins);
    let first = get(port, "/s");
    let pin = format!("Cookie: {}\r\n", first.cookie("route").expect("a signed cookie"));
    let signed = || {
        let answer = crate::support::client::get_with(port, "/s", &pin);
        (answer.text(), answer.header("X-Status"))
    };
    let hit = (first.text(), Some("hit".to_owned()));
    assert_eq!(signed(), hit);
    let text = daemon.file("nginx.conf");
    // The second time the zone has another size: what is there moves over.
    for more in ["zone=l:64k", "zone=l:128k"] {
        daemon.rewrite(&text.replace("zone=l:64k", more));
        let next = known.len();
        let mut late = BTreeMap::new();
        let new = upgraded(&mut daemon, |_| {
            assert_eq!(asked(port, 0..next), known, "both masters serve");
            if more == "zone=l:64k" {
                late = asked(port, next..next + 20);
            }
        });
        known.extend(late);
        let after = asked(port, 0..known.len());
        assert_eq!(after, known, "{more}");
        assert!((0..6).all(|_| signed() == hit), "{more}");
        daemon.adopt(new);
    }
}
