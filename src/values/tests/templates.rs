use proptest::prelude::*;

use crate::values::{TemplateError, Token, template};

fn text(tokens: &[Token<'_>]) -> String {
    tokens
        .iter()
        .map(|t| match t {
            Token::Text(t) => format!("'{}'", String::from_utf8_lossy(t)),
            Token::Variable(v) => format!("<{}>", String::from_utf8_lossy(v)),
            Token::Capture(n) => format!("<#{n}>"),
        })
        .collect()
}

#[test]
fn names_brackets_and_captures() {
    for (source, want) in [
        ("", ""),
        ("plain", "'plain'"),
        ("$host", "<host>"),
        ("a$host-b", "'a'<host>'-b'"),
        ("${host}b", "<host>'b'"),
        ("$10", "<#1>'0'"),
        ("$0", "<0>"),
        ("${1}", "<1>"),
        ("$scheme://$host$request_uri", "<scheme>'://'<host><request_uri>"),
        ("a}b{c", "'a}b{c'"),
        ("$a$b", "<a><b>"),
    ] {
        assert_eq!(text(&template(source.as_bytes()).unwrap()), want, "{source}");
    }
}

#[test]
fn what_nginx_refuses() {
    for source in ["$", "a$", "$$", "$-", "${", "${}", "$ x", "a$b$"] {
        let error = template(source.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "invalid variable name", "{source}");
    }
    for (source, name) in [("${host", "host"), ("${a-b}", "a"), ("x${ab c}", "ab"), ("${-}", "")] {
        let error = template(source.as_bytes()).unwrap_err();
        assert_eq!(error, TemplateError::NotClosed(name.as_bytes().to_vec()), "{source}");
        assert_eq!(error.to_string(), format!("the closing bracket in \"{name}\" variable is missing"));
    }
}

proptest! {
    #[test]
    fn text_without_a_dollar_is_one_token(source in "[^$]{1,30}") {
        prop_assert_eq!(template(source.as_bytes()).unwrap(), vec![Token::Text(source.as_bytes())]);
    }

    #[test]
    fn no_byte_is_lost(source in "[a-c${}0-3_.-]{0,30}") {
        if let Ok(tokens) = template(source.as_bytes()) {
            let bytes: usize = tokens.iter().map(|t| match t {
                Token::Text(t) => t.len(),
                Token::Variable(v) => v.len(),
                Token::Capture(_) => 1,
            }).sum();
            let marks = source.matches('$').count() + 2 * source.matches("${").count();
            prop_assert_eq!(bytes + marks, source.len());
        }
    }
}
