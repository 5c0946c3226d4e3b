//! The options of the command line as tables: what reads them, help, completions and the manual go by these.

use super::sub::Flag;

/// An option of one letter, as nginx has them.
pub(super) struct Letter {
    /// The letters that mean it.
    pub(super) letters: &'static [u8],
    /// What follows it: as help shows it, and as an error calls it.
    pub(super) value: Option<(&'static str, &'static str)>,
    /// `{…}` stands for what the build decides.
    pub(super) about: &'static str,
}

const fn letter(letters: &'static [u8], about: &'static str) -> Letter {
    Letter { letters, value: None, about }
}

const fn valued(letters: &'static [u8], value: (&'static str, &'static str), about: &'static str) -> Letter {
    Letter { letters, value: Some(value), about }
}

pub(super) const LETTERS: &[Letter] = &[
    letter(b"?h", "this help"),
    letter(b"v", "show version and exit"),
    letter(b"V", "show version and configure options then exit"),
    letter(b"t", "test configuration and exit (also --test-config)"),
    letter(b"T", "test configuration, dump it and exit"),
    letter(b"q", "suppress non-error messages during configuration testing"),
    valued(b"s", ("signal", "parameter"), "send signal to a master process: stop, quit, reopen, reload"),
    valued(b"p", ("prefix", "directory name"), "set prefix path (default: {prefix})"),
    valued(
        b"e",
        ("filename", "file name"),
        "set error log file (default: {log}, or stderr without -p where there is no logs folder)",
    ),
    valued(
        b"c",
        ("filename", "file name"),
        "set configuration file (default: {conf}; without -p the first there is of {search})",
    ),
    valued(b"g", ("directives", "parameter"), "set global directives out of configuration file"),
];

/// The long options beside `-t`.
pub(super) const LONG: &[Flag] = &[
    Flag { name: "help", value: None, about: "the same as -h" },
    Flag { name: "version", value: None, about: "the same as -v" },
    Flag { name: "test-config", value: None, about: "the same as -t" },
    Flag { name: "format", value: Some("json|sarif|github"), about: "with -t: all findings in this form" },
    Flag {
        name: "level",
        value: Some("syntax|semantic|environment"),
        about: "with -t: how far the test goes; environment is nginx's whole test",
    },
    Flag {
        name: "context",
        value: Some("BLOCKS"),
        about: "with -t: the blocks around a file that is a part of a configuration: http,server",
    },
    Flag {
        name: "compat",
        value: Some("PROGRAM"),
        about: "with -t: what that program would not know: nginx=1.28, nginx=1.31, tengine=3.2, plus",
    },
];

/// The option of a letter.
pub(super) fn of(letter: u8) -> Option<&'static Letter> {
    LETTERS.iter().find(|o| o.letters.contains(&letter))
}

impl Letter {
    /// As help and the manual show it: `-?,-h`, `-c filename`.
    pub(super) fn shown(&self) -> String {
        let letters: Vec<String> = self.letters.iter().map(|l| format!("-{}", char::from(*l))).collect();
        let value = self.value.map_or(String::new(), |(value, _)| format!(" {value}"));
        letters.join(",") + &value
    }

    pub(super) fn about(&self) -> String {
        use super::place;
        let prefix = place::PREFIX.unwrap_or("the current directory");
        [
            ("{prefix}", prefix),
            ("{log}", place::ERROR_LOG),
            ("{conf}", place::CONF),
            ("{search}", &place::SEARCH.join(", ")),
        ]
        .iter()
        .fold(self.about.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}
