//! Completions and the manual are made of the tables that the command line is read by.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::support::skipped;

fn tenrec(args: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_tenrec")).args(args).output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// The subcommands, out of the manual.
fn commands() -> Vec<String> {
    let page = tenrec(&["man"]);
    let names = page.lines().filter_map(|l| l.strip_prefix(".SS ")?.split(' ').next());
    names.map(|n| n.replace("\\-", "-")).collect()
}

/// The options of a subcommand, out of its help: `--format`, `-c`.
fn options(command: &str) -> Vec<String> {
    let help = tenrec(&[command, "--help"]);
    let lines = help.lines().filter_map(|l| l.strip_prefix("  "));
    let words = lines.filter_map(|l| l.split([' ', '=']).next()).filter(|w| w.starts_with('-'));
    words.map(str::to_owned).collect()
}

/// Runs a program on a text; `None`: it is not there.
fn program(name: &str, args: &[&str], text: &str) -> Option<(bool, String)> {
    let mut child = Command::new(name)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_owned();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(text.as_bytes());
    });
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let said = [out.stdout, out.stderr].concat();
    Some((out.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn each_shell_reads_its_script() {
    for shell in ["bash", "zsh", "fish"] {
        let script = tenrec(&["completions", shell]);
        match program(shell, &["-n"], &script) {
            Some((fine, said)) => assert!(fine && said.is_empty(), "{shell}: {said}"),
            None => skipped("each_shell_reads_its_script", &format!("{shell} is not installed")),
        }
    }
}

#[test]
fn every_subcommand_and_option_is_offered() {
    let names = commands();
    assert!(names.len() > 8 && names.contains(&"explain".to_owned()), "{names:?}");
    let [zsh, fish] = ["zsh", "fish"].map(|shell| tenrec(&["completions", shell]));
    let mut asked = tenrec(&["completions", "bash"]);
    asked += "ask() { COMP_WORDS=(tenrec \"$@\"); COMP_CWORD=$#; COMPREPLY=(); _tenrec; printf '%s ' \"${COMPREPLY[@]}\"; echo; }\n";
    asked += "ask ''\nask -\nask -s ''\n";
    for name in &names {
        asked += &format!("ask {name} -\n");
        assert!(
            zsh.contains(&format!("    {name})\n")) && zsh.contains(&format!("    '{name}:")),
            "zsh: {name}"
        );
        assert!(fish.contains(&format!(" -a {name} ")), "fish: {name}");
        for option in options(name) {
            let bare = option.trim_start_matches('-');
            let kind = if option.starts_with("--") { "-l" } else { "-s" };
            let seen = format!("complete -c tenrec -n \"__fish_seen_subcommand_from {name}\" {kind} {bare} ");
            assert!(fish.contains(&seen), "fish: {name} {option}");
            assert!(
                zsh.contains(&format!("'*{option}[")) || zsh.contains(&format!("'*{option}=[")),
                "zsh: {name} {option}"
            );
        }
    }
    let (fine, said) = program("bash", &[], &asked).expect("bash is there");
    assert!(fine, "{said}");
    let mut answers = said.lines().map(|l| l.split(' ').map(|w| w.trim_end_matches('=')).collect::<Vec<_>>());
    let first = answers.next().unwrap();
    names.iter().for_each(|n| assert!(first.contains(&n.as_str()), "bash: {n} in {first:?}"));
    let letters = answers.next().unwrap();
    for option in
        ["-t", "-T", "-c", "-p", "-g", "-s", "-q", "-v", "-V", "-e", "-h", "--format", "--level", "--context"]
    {
        assert!(letters.contains(&option), "bash: {option} in {letters:?}");
    }
    assert_eq!(answers.next().unwrap()[..4], ["stop", "quit", "reopen", "reload"]);
    for (name, answer) in names.iter().zip(answers) {
        for option in options(name).iter().map(String::as_str).chain(["--help"]) {
            assert!(answer.contains(&option), "bash: {name} {option} in {answer:?}");
        }
    }
}

#[test]
fn a_value_out_of_a_list_is_offered() {
    let mut asked = tenrec(&["completions", "bash"]);
    asked += "COMP_WORDS=(tenrec explain --format = j); COMP_CWORD=4; _tenrec; echo \"${COMPREPLY[@]}\"\n";
    asked += "COMP_WORDS=(tenrec explain --format =); COMP_CWORD=3; _tenrec; echo \"${COMPREPLY[@]}\"\n";
    asked += "COMP_WORDS=(tenrec completions z); COMP_CWORD=2; cd /var/empty 2>/dev/null || cd /; _tenrec; echo \"${COMPREPLY[@]}\"\n";
    let (_, said) = program("bash", &[], &asked).expect("bash is there");
    assert_eq!(said, "json\ntext json\nzsh\n");
}

#[test]
fn the_manual_is_clean_and_has_every_command() {
    let page = tenrec(&["man"]);
    assert!(page.is_ascii());
    for name in commands() {
        for option in options(&name) {
            let shown = option.replace('-', "\\-");
            assert!(page.contains(&format!("\\fB{shown}")), "{name} {option}");
        }
    }
    match program("groff", &["-man", "-Tutf8", "-ww", "-z"], &page) {
        Some((fine, said)) => assert!(fine && said.is_empty(), "{said}"),
        None => skipped("the_manual_is_clean_and_has_every_command", "groff is not installed"),
    }
}

#[test]
fn the_scripts_are_what_they_were() {
    // One subcommand's part: others come and go.
    let lines = |shell: &str, wanted: &str| -> Vec<String> {
        let script = tenrec(&["completions", shell]);
        script.lines().skip_while(|l| !l.contains(wanted)).map(str::to_owned).collect()
    };
    let branch = |shell: &str| {
        let all = lines(shell, "  fmt)");
        let end = all.iter().position(|l| l.ends_with(";;")).unwrap();
        all[..=end].join("\n")
    };
    let (bash, zsh) = (branch("bash"), branch("zsh"));
    let fish = lines("fish", "from fmt");
    let fish = fish.iter().filter(|l| l.contains("from fmt")).cloned().collect::<Vec<_>>().join("\n");
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../fixtures/cli" }, {
        insta::assert_snapshot!("completions", format!("{bash}\n\n{zsh}\n\n{fish}"));
    });
}
