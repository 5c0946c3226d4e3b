//! The parameters that directives know, for what is added to nginx's words when one is wrong.

use crate::directives::near_word;

const SECONDS: &str = "a number of seconds, without a unit";
const MILLISECONDS: &str = "a number of milliseconds, without a unit";
const TIME: &str = "a time: 30s, 1m, 1h 30m";
const COUNT: &str = "a whole number";

/// A parameter, with its `=` when it has a value, and what that may be.
type Parameter = (&'static str, &'static str);

const KNOWN: &[(&str, &[Parameter])] = &[
    (
        "server",
        &[
            ("weight=", "a whole number from 1"),
            ("max_fails=", COUNT),
            ("max_conns=", COUNT),
            ("fail_timeout=", TIME),
            ("slow_start=", TIME),
            ("id=", ""),
            ("route=", ""),
            ("service=", ""),
            ("backup", ""),
            ("down", ""),
            ("drain", ""),
            ("resolve", ""),
        ],
    ),
    (
        "session_sticky",
        &[
            ("cookie=", ""),
            ("domain=", ""),
            ("path=", ""),
            ("maxage=", SECONDS),
            ("maxidle=", SECONDS),
            ("maxlife=", SECONDS),
            ("mode=", "\"insert\", \"prefix\" or \"rewrite\""),
            ("option=", "\"direct\" or \"indirect\""),
            ("fallback=", "\"on\" or \"off\""),
            ("hash=", "\"md5\" or \"plain\""),
            ("secure=", ""),
            ("samesite=", ""),
            ("httponly", ""),
            ("always", ""),
            ("nocache", ""),
            ("postonly", ""),
            ("preserve", ""),
            ("signed", ""),
        ],
    ),
    (
        "sticky",
        &[
            ("cookie", ""),
            ("route", ""),
            ("learn", ""),
            ("expires=", "a time in seconds, or \"max\""),
            ("domain=", ""),
            ("path=", ""),
            ("samesite=", "\"strict\", \"lax\" or \"none\""),
            ("httponly", ""),
            ("secure", ""),
            ("create=", "a variable"),
            ("lookup=", "a variable"),
            ("zone=", "NAME:SIZE: app:1m"),
            ("timeout=", TIME),
            ("header", ""),
            ("store=", ""),
        ],
    ),
    (
        "listen",
        &[
            ("default_server", ""),
            ("proxy_protocol", ""),
            ("ssl", ""),
            ("http2", ""),
            ("bind", ""),
            ("deferred", ""),
            ("reuseport", ""),
            ("backlog=", COUNT),
            ("fastopen=", COUNT),
            ("rcvbuf=", "a size: 64k"),
            ("sndbuf=", "a size: 64k"),
            ("ipv6only=", "\"on\" or \"off\""),
            ("so_keepalive=", "\"on\", \"off\" or IDLE:INTERVAL:COUNT"),
        ],
    ),
    (
        "check",
        &[
            ("interval=", MILLISECONDS),
            ("timeout=", MILLISECONDS),
            ("rise=", COUNT),
            ("fall=", COUNT),
            ("port=", "a port"),
            ("type=", "\"tcp\", \"http\", \"ssl_hello\", \"mysql\", \"ajp\" or \"fastcgi\""),
            ("default_down=", "\"true\" or \"false\""),
            ("unique=", "\"true\" or \"false\""),
            ("drain=", ""),
        ],
    ),
];

/// What helps whoever wrote `word` as a parameter of `directive`, where it was refused.
pub(super) fn hint(directive: &str, word: &[u8]) -> Option<String> {
    let (_, known) = KNOWN.iter().find(|(name, _)| *name == directive)?;
    let word = std::str::from_utf8(word).ok()?;
    let name = word.find('=').and_then(|at| word.get(..=at)).unwrap_or(word);
    match known.iter().find(|(parameter, _)| *parameter == name) {
        Some((_, "")) => None,
        Some((_, form)) => Some(format!("\"{name}\" takes {form}")),
        None => near_word(name, known.iter().map(|(n, _)| *n)).map(|n| format!("did you mean \"{n}\"?")),
    }
}

#[cfg(test)]
mod tests {
    use super::hint;

    #[test]
    fn a_slip_is_named_and_a_wrong_value_told_its_form() {
        let of = |directive, word: &str| hint(directive, word.as_bytes());
        assert_eq!(of("server", "weigth=2").unwrap(), "did you mean \"weight=\"?");
        assert_eq!(of("server", "bakcup").unwrap(), "did you mean \"backup\"?");
        let seconds = "\"maxidle=\" takes a number of seconds, without a unit";
        assert_eq!(of("session_sticky", "maxidle=30m").unwrap(), seconds);
        assert_eq!(of("server", "frobnicate=2"), None);
        assert_eq!(of("proxy_pass", "weigth=2"), None);
    }
}
