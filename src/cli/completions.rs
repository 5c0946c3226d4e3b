//! `tenrec completions`: what a shell needs to know to complete tenrec's command line.

use super::options::{LETTERS, LONG};
use super::sub::{COMMANDS, Command, Flag, Words, print};

/// A shell, and what makes its script.
type Shell = (&'static str, fn() -> String);

const SHELLS: &[Shell] = &[("bash", bash), ("fish", fish), ("zsh", zsh)];

pub(super) fn run(words: Words) -> Result<u8, String> {
    let names = || SHELLS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let [shell] = &words.operands[..] else { return Err(format!("one shell is needed: {}", names())) };
    let Some((_, make)) = SHELLS.iter().find(|(name, _)| shell == name) else {
        return Err(format!("unknown shell \"{}\"; known: {}", shell.to_string_lossy(), names()));
    };
    print(make().as_bytes());
    Ok(0)
}

/// The words that an option takes, when it takes no others.
fn choices(flag: &Flag) -> Vec<&'static str> {
    let words: Vec<&str> = flag.value.unwrap_or_default().split('|').collect();
    let plain = |w: &&str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    if words.len() > 1 && words.iter().all(plain) { words } else { Vec::new() }
}

/// Whether the option's value names a file or a folder.
fn is_file(value: &str) -> bool {
    ["FILE", "DIR", "PATH", "filename", "prefix"].iter().any(|w| value.contains(w))
}

/// Words that stand for themselves where operands are expected.
fn operands(command: &Command) -> Vec<&'static str> {
    match command.name {
        "completions" => SHELLS.iter().map(|(name, _)| *name).collect(),
        _ => Vec::new(),
    }
}

const SIGNALS: &str = "stop quit reopen reload";

/// `-c`, `--format=`
fn option_word(flag: &Flag) -> String {
    match (flag.name.len(), flag.value) {
        (1, _) => format!("-{}", flag.name),
        (_, Some(_)) => format!("--{}=", flag.name),
        (_, None) => format!("--{}", flag.name),
    }
}

fn main_words() -> Vec<String> {
    let letters = LETTERS.iter().flat_map(|o| o.letters).filter(|l| **l != b'?');
    let letters = letters.map(|l| format!("-{}", char::from(*l)));
    letters.chain(LONG.iter().map(option_word)).collect()
}

fn bash() -> String {
    let mut out = String::from(
        "# Completion of tenrec for bash.\n\
         # shellcheck shell=bash disable=SC2207\n\
         _tenrec() {\n\
         \x20   local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words='' values='' files=1\n\
         \x20   # A word with \"=\" in it is several to bash.\n\
         \x20   if [[ $cur == '=' ]]; then cur=''; fi\n\
         \x20   if [[ $prev == '=' ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n\
         \x20   if [[ ${COMP_WORDS[COMP_CWORD]} == '=' ]]; then prev=${COMP_WORDS[COMP_CWORD-1]}; fi\n\
         \x20   case \"$prev\" in\n",
    );
    out += &format!("        -s) values='{SIGNALS}' ;;\n");
    for flag in LONG.iter().filter(|f| !choices(f).is_empty()) {
        out += &format!("        --{}) values='{}' ;;\n", flag.name, choices(flag).join(" "));
    }
    out += "    esac\n    case \"${COMP_WORDS[1]}\" in\n";
    for command in COMMANDS {
        out += &format!("        {})\n", command.name);
        let choosing: Vec<&Flag> = command.flags.iter().filter(|f| !choices(f).is_empty()).collect();
        out += "            values=''\n";
        if !choosing.is_empty() {
            out += "            case \"$prev\" in\n";
            for flag in choosing {
                out += &format!("                --{}) values='{}' ;;\n", flag.name, choices(flag).join(" "));
            }
            out += "            esac\n";
        }
        let words: Vec<String> = command.flags.iter().map(option_word).chain(["--help".to_owned()]).collect();
        let words = words.into_iter().chain(operands(command).into_iter().map(str::to_owned));
        out += &format!("            words='{}' ;;\n", words.collect::<Vec<_>>().join(" "));
    }
    let commands: Vec<&str> = COMMANDS.iter().map(|c| c.name).collect();
    out += &format!(
        "        *)\n            words='{}'\n            if [[ $COMP_CWORD -eq 1 ]]; then words=\"$words {}\"; files=0; fi ;;\n    esac\n",
        main_words().join(" "),
        commands.join(" ")
    );
    out += "    if [[ -n $values ]]; then\n\
        \x20       COMPREPLY=($(compgen -W \"$values\" -- \"$cur\"))\n\
        \x20       return\n\
        \x20   fi\n\
        \x20   COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n\
        \x20   if [[ $files -eq 1 && $cur != -* ]]; then COMPREPLY+=($(compgen -f -- \"$cur\")); fi\n\
        \x20   if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi\n\
        }\n\
        complete -o filenames -F _tenrec tenrec\n";
    out
}

/// A text within single quotes of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// What is said of a command or an option, as far as one line takes it.
fn brief(about: &str) -> &str {
    about.split(['.', ';', ':']).next().unwrap_or(about)
}

fn zsh() -> String {
    let mut out = String::from(
        "#compdef tenrec\n# Completion of tenrec for zsh.\n\n_tenrec() {\n  local -a commands options\n",
    );
    out += "  commands=(\n";
    for command in COMMANDS {
        out += &format!("    {}\n", quoted(&format!("{}:{}", command.name, brief(command.about))));
    }
    out += "  )\n  if (( CURRENT == 2 )); then\n    _describe -t commands command commands\n  fi\n  case $words[2] in\n";
    for command in COMMANDS {
        out +=
            &format!("    {})\n      shift words; (( CURRENT-- ))\n      _arguments -S \\\n", command.name);
        for flag in command.flags {
            out += &format!("        {} \\\n", quoted(&zsh_spec(flag)));
        }
        out += "        '--help[help]' \\\n";
        out += &match &operands(command)[..] {
            [] => "        '*:operand:_files'\n".to_owned(),
            words => format!("        {}\n", quoted(&format!("1:operand:({})", words.join(" ")))),
        };
        out += "      ;;\n";
    }
    out += "    *)\n      _arguments -s \\\n";
    for letter in LETTERS {
        for l in letter.letters.iter().filter(|l| **l != b'?') {
            let value = match letter.value {
                None => String::new(),
                Some(("signal", _)) => format!(":signal:({SIGNALS})"),
                Some((value, _)) if is_file(value) => format!(":{value}:_files"),
                Some((value, _)) => format!(":{value}:"),
            };
            let spec = format!("-{}[{}]{value}", char::from(*l), zsh_text(brief(letter.about)));
            out += &format!("        {} \\\n", quoted(&spec));
        }
    }
    for flag in LONG {
        out += &format!("        {} \\\n", quoted(&zsh_spec(flag)));
    }
    out += "        '*:file:_files'\n      ;;\n  esac\n}\n\n_tenrec \"$@\"\n";
    out
}

fn zsh_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]").replace(':', "\\:")
}

/// `--format=[the form]:VALUE:(text json)`
fn zsh_spec(flag: &Flag) -> String {
    let about = zsh_text(brief(flag.about));
    let name = option_word(flag);
    let Some(value) = flag.value else { return format!("*{name}[{about}]") };
    let action = match &choices(flag)[..] {
        [] if is_file(value) => "_files".to_owned(),
        [] => String::new(),
        words => format!("({})", words.join(" ")),
    };
    format!("*{name}[{about}]:{}:{action}", zsh_text(value))
}

fn fish() -> String {
    let names: Vec<&str> = COMMANDS.iter().map(|c| c.name).collect();
    let mut out = format!(
        "# Completion of tenrec for fish.\nset -l commands {}\nset -l none \"not __fish_seen_subcommand_from $commands\"\n",
        names.join(" ")
    );
    for command in COMMANDS {
        out += &format!(
            "complete -c tenrec -n \"$none\" -a {} -d {}\n",
            command.name,
            fish_quoted(brief(command.about))
        );
    }
    for letter in LETTERS {
        for l in letter.letters.iter().filter(|l| **l != b'?') {
            let value = match letter.value {
                None => String::new(),
                Some(("signal", _)) => format!(" -x -a '{SIGNALS}'"),
                Some((value, _)) if is_file(value) => " -r".to_owned(),
                Some(_) => " -x".to_owned(),
            };
            let about = fish_quoted(brief(letter.about));
            out += &format!("complete -c tenrec -n \"$none\" -s {}{value} -d {about}\n", char::from(*l));
        }
    }
    for flag in LONG {
        out += &fish_option("$none", flag);
    }
    for command in COMMANDS {
        let seen = format!("__fish_seen_subcommand_from {}", command.name);
        for flag in command.flags {
            out += &fish_option(&seen, flag);
        }
        for word in operands(command) {
            out += &format!("complete -c tenrec -n '{seen}' -x -a {word}\n");
        }
    }
    out
}

fn fish_option(when: &str, flag: &Flag) -> String {
    let kind = if flag.name.len() == 1 { "-s" } else { "-l" };
    let value = match (flag.value, &choices(flag)[..]) {
        (None, _) => String::new(),
        (Some(value), []) if is_file(value) => " -r".to_owned(),
        (Some(_), []) => " -x".to_owned(),
        (Some(_), words) => format!(" -x -a '{}'", words.join(" ")),
    };
    let about = fish_quoted(brief(flag.about));
    format!("complete -c tenrec -n \"{when}\" {kind} {}{value} -d {about}\n", flag.name)
}

fn fish_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
