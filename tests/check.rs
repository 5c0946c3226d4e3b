//! `-t` beyond nginx's: formats, levels, the standard input, fragments.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::support::daemon::{Daemon, Program};
use super::support::{eventually, skipped};

fn run(dir: &Path, args: &[&str], input: &str) -> Output {
    let mut command = Command::new(Program::Tenrec.path());
    command.current_dir(dir).arg("-t").args(args);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    // One that refuses its options reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder with a mistake in an included file.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let main = "events {}\nhttp {\n    server {\n        include sites/a;\n    }\n}\n";
    std::fs::create_dir(dir.path().join("sites")).unwrap();
    std::fs::write(dir.path().join("n.conf"), main).unwrap();
    std::fs::write(
        dir.path().join("sites/a"),
        "location /x {\n    # é\n    proxy_pas http://127.0.0.1;\n}\n",
    )
    .unwrap();
    dir
}

#[test]
fn json_says_where_and_what_to_do() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let output = run(dir.path(), &["-c", "n.conf", "--format=json"], "");
    assert_eq!((output.status.code(), told(&output).as_str()), (Some(1), ""));
    let got: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&got["verdict"], &got["level"]), (&json!("failed"), &json!("environment")));
    assert_eq!(got["file"], at("n.conf"));
    let want = json!({
        "severity": "emerg", "code": "unknown-directive", "message": "unknown directive \"proxy_pas\"",
        "hint": "did you mean \"proxy_pass\"?",
        "file": at("sites/a"), "line": 3, "column": 5, "end": { "line": 3, "column": 14 }, "nginx_line": 3,
        "include_chain": [{ "file": at("n.conf"), "line": 4 }],
        "block": ["http", "server", "location /x"],
        "fix": {
            "title": "write \"proxy_pass\"",
            "edits": [{
                "file": at("sites/a"), "text": "proxy_pass",
                "start": { "line": 3, "column": 5 }, "end": { "line": 3, "column": 14 },
            }],
        },
    });
    assert_eq!(got["diagnostics"], json!([want]));
}

#[test]
fn the_word_that_is_wrong_is_named_and_what_it_might_have_been() {
    let dir = tempfile::tempdir().unwrap();
    let text = "events {}\nhttp {\n  upstream u { server 127.0.0.1 weigth=2; session_sticky maxidle=30m; }\n  server {\n    \
                location / { proxy_pass http://u; proxy_next_upstream\n      eror timeout; send_timeout soon; }\n  }\n}\n";
    std::fs::write(dir.path().join("n.conf"), text).unwrap();
    let output = run(dir.path(), &["-c", "n.conf", "--format=json"], "");
    let got: Value = serde_json::from_slice(&output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let said = got["diagnostics"].as_array().unwrap().iter().filter(|d| d["severity"] == "emerg").map(|d| {
        let (from, to) =
            (d["column"].as_u64().unwrap() as usize, d["end"]["column"].as_u64().unwrap() as usize);
        let word = &lines[d["line"].as_u64().unwrap() as usize - 1][from - 1..to - 1];
        let fix = d["fix"]["edits"][0]["text"].as_str().unwrap_or_default();
        (word, d["hint"].as_str().unwrap_or_default(), fix)
    });
    let want = [
        ("weigth=", "did you mean \"weight=\"?", "weight="),
        ("maxidle=30m", "\"maxidle=\" takes a number of seconds, without a unit", ""),
        ("eror", "did you mean \"error\"?", "error"),
        ("soon", "it takes a time: 500ms, 30s, 1m, 1h 30m", ""),
    ];
    assert_eq!(said.collect::<Vec<_>>(), want);
}

#[test]
fn every_command_is_told_by_help() {
    let ask = |args: &[&str]| Command::new(Program::Tenrec.path()).args(args).output().unwrap();
    let help = ask(&["help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert_eq!(
        (help.status.code(), ask(&["-h"]).status.code(), ask(&["--help"]).status.code()),
        (Some(0), Some(0), Some(0))
    );
    assert!(told(&ask(&["--help"])).ends_with(&text), "{text}");
    for name in ["explain", "migrate", "drain", "lint"] {
        assert!(text.contains(&format!("\n  {name} ")), "{text}");
        assert_eq!(ask(&["help", name]).stdout, ask(&[name, "--help"]).stdout);
    }
    assert_eq!(told(&ask(&["help", "dance"])), "tenrec: help: there is no command \"dance\"\n");
}

#[test]
fn sarif_and_github_name_files_as_the_repository_does() {
    let dir = folder();
    let output = run(dir.path(), &["-c", "n.conf", "--format", "sarif"], "");
    let got: Value = serde_json::from_slice(&output.stdout).unwrap();
    let result = &got["runs"][0]["results"][0];
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(got["version"], "2.1.0");
    assert_eq!(got["runs"][0]["tool"]["driver"]["rules"], json!([{ "id": "unknown-directive" }]));
    assert_eq!((&result["level"], &place["artifactLocation"]["uri"]), (&json!("error"), &json!("sites/a")));
    assert_eq!(place["region"], json!({ "startLine": 3, "startColumn": 5, "endLine": 3, "endColumn": 14 }));
    assert_eq!(result["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"], "n.conf");
    let change = &result["fixes"][0]["artifactChanges"][0]["replacements"][0];
    assert_eq!(change["insertedContent"]["text"], "proxy_pass");

    let output = run(dir.path(), &["-c", "n.conf", "--format=github"], "");
    let want = "::error title=unknown-directive,file=sites/a,line=3,col=5,endLine=3,endColumn=14\
                ::unknown directive \"proxy_pas\"%0Adid you mean \"proxy_pass\"?\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), want);
}

#[test]
fn a_level_tests_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let conf = |text: &str| std::fs::write(dir.path().join("n.conf"), text).unwrap();
    let code = |level: &str| {
        let output = run(dir.path(), &["-c", "n.conf", &format!("--level={level}")], "");
        assert!(output.stdout.is_empty());
        output.status.code().unwrap()
    };
    conf("events {}\nhttp { nonsense on; }\n");
    assert_eq!([code("syntax"), code("semantic")], [0, 1]);
    conf("events {}\nhttp {");
    assert_eq!([code("syntax"), code("semantic")], [1, 1]);
    conf("events {}\nhttp { upstream u { server no-such-host.invalid; } }\n");
    assert_eq!([code("semantic"), code("environment")], [0, 1]);
    conf("pid /no/such/folder/pid;\nevents {}\nhttp { server { listen 127.0.0.1:0; } }\n");
    let before = std::fs::read_dir(dir.path()).unwrap().count();
    let output = run(dir.path(), &["-c", "n.conf", "--level=semantic"], "");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), before, "nothing is made");
    assert!(told(&output).contains("n.conf test "), "{}", told(&output));
}

#[test]
fn the_standard_input_is_a_configuration() {
    let dir = folder();
    let good = "events {}\nhttp { server { listen 80; } }\n";
    let output = run(dir.path(), &["-c", "-"], good);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).ends_with("nginx: configuration file /dev/stdin test is successful\n"));
    let output = run(dir.path(), &["-c", "-"], "events {}\nhttp {\n    server { include sites/a; }\n}\n");
    let line = format!("unknown directive \"proxy_pas\" in {}:3\n", dir.path().join("sites/a").display());
    assert!(told(&output).contains(&line), "includes start from here: {}", told(&output));
}

#[test]
fn a_fragment_is_tested_in_its_place() {
    let dir = folder();
    let output = run(dir.path(), &["-c", "sites/a", "--context", "http,server", "--format=json"], "");
    let got: Value = serde_json::from_slice(&output.stdout).unwrap();
    let diag = &got["diagnostics"][0];
    assert_eq!(got["diagnostics"].as_array().unwrap().len(), 1);
    assert_eq!((&diag["line"], &diag["include_chain"]), (&json!(3), &json!([])));
    assert_eq!(diag["block"], json!(["http", "server", "location /x"]));

    let code =
        |context: &str, text: &str| run(dir.path(), &["-c", "-", "--context", context], text).status.code();
    assert_eq!(code("http,upstream", "server 127.0.0.1;\nsession_sticky;\n"), Some(0));
    assert_eq!(code("http,upstream", "session_sticky;\n"), Some(0), "its servers may be elsewhere");
    assert_eq!(code("http,upstream", "listen 80;\n"), Some(1));
    assert_eq!(code("http,server", "listen 80; }\n"), Some(1));
    assert_eq!(code("http,server", "location / { return 204; }\n"), Some(0));
    let output = run(dir.path(), &["-c", "none", "--context", "http"], "");
    assert_eq!(output.status.code(), Some(1), "a fragment that is not there is no good one");
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let dir = folder();
    for (args, why) in [
        (&["--format=xml"][..], "invalid option: \"--format=xml\""),
        (&["--level"], "option \"--level\" requires parameter"),
        (&["--context=http,nowhere"], "invalid option"),
        (&["-c", "-", "--level=environment"], "needs a whole configuration"),
        (&["-s", "stop", "--format=json"], "go with \"-t\" alone"),
        (&["--nothing"], "invalid option: \"-\""),
    ] {
        let output = run(dir.path(), args, "");
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(told(&output).contains(why), "{args:?}: {}", told(&output));
    }
}

#[test]
fn compat_tells_what_another_program_would_not_know() {
    let dir = tempfile::tempdir().unwrap();
    let conf = "events {}\nhttp {\n    upstream a {\n        server 127.0.0.1:1 route=a;\n        sticky cookie x;\n    }\n    \
                upstream b {\n        server 127.0.0.1:1;\n        session_sticky;\n    }\n    server {\n        \
                location / {\n            proxy_pass http://a;\n        }\n    }\n}\n";
    std::fs::write(dir.path().join("n.conf"), conf).unwrap();
    let told_for = |target: &str| -> Vec<String> {
        let output = run(dir.path(), &["-c", "n.conf", "--level=semantic", "--compat", target], "");
        let place = format!(" in {}", dir.path().join("n.conf").display());
        let told = told(&output).replace(&place, "");
        assert_eq!(output.status.success(), !told.contains("[emerg]"), "{told}");
        told.lines()
            .filter(|l| l.contains("] "))
            .map(|l| l.trim_start_matches("nginx: ").to_owned())
            .collect()
    };
    assert_eq!(
        told_for("nginx=1.28"),
        [
            "[warn] the default of \"keepalive\" is another one in nginx 1.28: no idle connections before 1.29.7, 32 since:3",
            "[emerg] invalid parameter \"route=a\" in nginx 1.28 (nginx has it since 1.29.6):4",
            "[emerg] unknown directive \"sticky\" in nginx 1.28 (nginx has it since 1.29.6):5",
            "[emerg] unknown directive \"session_sticky\" in nginx 1.28 (it is Tengine's):9",
            "[warn] the default of \"proxy_http_version\" is another one in nginx 1.28: 1.0, with \"Connection: close\", \
             before 1.29.7:13",
        ]
    );
    let theirs = "[emerg] unknown directive \"session_sticky\" in nginx 1.31 (it is Tengine's):9";
    assert_eq!(told_for("nginx=1.31"), [theirs]);
    assert_eq!(told_for("plus"), [theirs.replace("nginx 1.31", "NGINX Plus")]);
    assert_eq!(told_for("tengine=3.2"), [""; 0]);
    let ours = conf.replace("session_sticky;", "session_sticky secure=auto;");
    std::fs::write(dir.path().join("n.conf"), ours).unwrap();
    let own = "[emerg] invalid parameter \"secure=auto\" in Tengine 3.2 (it is tenrec's own):9";
    assert_eq!(told_for("tengine=3.2"), [own]);
    std::fs::write(dir.path().join("n.conf"), conf.replace("session_sticky;", "sticky;")).unwrap();
    let theirs = "[emerg] invalid \"sticky\" in nginx 1.31 (it is nginx-sticky-module-ng's):9";
    assert_eq!(told_for("nginx=1.31"), [theirs]);
    let conf = "events {}\nhttp {\n    server {\n        health_check;\n        no_such;\n    }\n}\n";
    std::fs::write(dir.path().join("n.conf"), conf).unwrap();
    assert_eq!(
        told_for("plus"),
        [
            "[emerg] \"health_check\" directive is known in NGINX Plus and not supported by tenrec:4",
            "[emerg] unknown directive \"no_such\":5",
        ]
    );
    for wrong in ["nginx=1.40", "nginx=0.8", "nginx", "nginx=1.31.9", "tengine=2.0", "angie"] {
        let output = run(dir.path(), &["-c", "n.conf", "--compat", wrong], "");
        assert!(
            told(&output).contains(&format!("invalid option: \"--compat={wrong}\"")),
            "{}",
            told(&output)
        );
    }
}

#[test]
fn a_test_tells_what_becomes_of_the_running_sessions() {
    let conf = |peers: &str, more: &str| {
        format!(
            "pid %%DIR%%/t.pid;\nevents {{}}\nhttp {{\n    upstream a {{\n        session_sticky;\n        {peers}\n    }}\n    \
             upstream b {{\n        ip_hash;\n        server 127.0.0.1:1;\n        server 127.0.0.1:2;\n{more}    }}\n    \
             server {{\n        listen 127.0.0.1:%%8080%%;\n        location / {{\n            proxy_pass http://a;\n        \
             }}\n        location /b {{\n            proxy_pass http://b;\n        }}\n    }}\n}}\n"
        )
    };
    let mut daemon = Daemon::start(&conf("server 127.0.0.1:1; server 127.0.0.1:2; server 127.0.0.1:3;", ""));
    let test = |daemon: &Daemon| -> Value {
        let output = daemon.control(&["-t", "--format=json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let next = conf(
        "server 127.0.0.1:3; server 127.0.0.1:1; server 127.0.0.1:2 down;",
        "        server 127.0.0.1:3;\n",
    );
    daemon.rewrite(&next);
    let told = test(&daemon);
    let fates = |told: &Value| -> Vec<String> {
        let pins = told["sessions"][0]["pins"].as_array().unwrap().iter();
        pins.map(|p| format!("{} {}", p["peer"].as_str().unwrap(), p["fate"].as_str().unwrap())).collect()
    };
    assert_eq!(told["sessions"][0]["upstream"], "a");
    assert_eq!(fates(&told), ["127.0.0.1:1 kept", "127.0.0.1:2 lost", "127.0.0.1:3 kept"]);
    assert_eq!(
        (&told["sessions"][1]["how"], &told["sessions"][1]["kept"]),
        (&json!("ip_hash"), &json!(false))
    );
    // What runs after a reload is what the next test compares with, whatever became of the file.
    daemon.signal("HUP");
    eventually("the record of the new configuration", || {
        (test(&daemon)["sessions"][1]["kept"] == true).then_some(())
    });
    daemon.rewrite(&conf("server 127.0.0.1:3;", "        server 127.0.0.1:3;\n"));
    let told = test(&daemon);
    assert_eq!(fates(&told)[..2], ["127.0.0.1:3 kept", "127.0.0.1:1 lost"]);
    assert_eq!(told["sessions"][1]["kept"], true);
}

#[test]
fn a_person_gets_advice_and_then_the_verdict() {
    let name = "-t on a terminal";
    let dir = tempfile::tempdir().unwrap();
    let conf = "events {}\nhttp {\n    sendfile on;\n    upstream a {\n        session_sticky maxage=60 maxidle=30;\n        \
                server 127.0.0.1:1;\n    }\n}\n";
    std::fs::create_dir(dir.path().join("logs")).unwrap();
    std::fs::write(dir.path().join("n.conf"), conf).unwrap();
    for more in ["", " --level=semantic"] {
        let program = Program::Tenrec.path().display();
        let line = format!("{program} -t -p {0}/ -c {0}/n.conf{more}", dir.path().display());
        let Ok(output) =
            Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output()
        else {
            return skipped(name, "no script(1) here");
        };
        let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        assert!(output.status.success(), "{text}");
        assert!(text.contains("S12") && text.contains("maxage=60"), "{text}");
        assert!(text.contains("sendfile") && text.contains("accepted and ignored"), "{text}");
        assert!(text.trim_end().ends_with("test is successful"), "{text}");
        // A script that reads the output gets nginx's lines alone.
        let piped = run(dir.path(), &["-p", ".", "-c", "n.conf"], "");
        assert!(!told(&piped).contains("S12") && !told(&piped).contains("sendfile"), "{}", told(&piped));
    }
}
