//! nginx's built-in pages.

use crate::plan::ServerTokens;

use super::status;

const PADDING: &str = "<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n";

/// Title, heading and a line below it; `None`: the status has no page, and its answer no body.
fn words(status: u16) -> Option<(&'static str, &'static str, Option<&'static str>)> {
    let same = |text| Some((text, text, None));
    let bad = |title, below| Some((title, "400 Bad Request", Some(below)));
    match status {
        302 => same("302 Found"),
        401 => same("401 Authorization Required"),
        494 => bad("400 Request Header Or Cookie Too Large", "Request Header Or Cookie Too Large"),
        495 => bad("400 The SSL certificate error", "The SSL certificate error"),
        496 => bad("400 No required SSL certificate was sent", "No required SSL certificate was sent"),
        497 => bad(
            "400 The plain HTTP request was sent to HTTPS port",
            "The plain HTTP request was sent to HTTPS port",
        ),
        498 => same("404 Not Found"),
        301 | 303 | 307 | 308 | 400..=507 => status::line(status).and_then(same),
        _ => None,
    }
}

/// Appends the page of `status`; `false`: it has none. `pad`: the client is one that hides short pages.
pub(super) fn page(status: u16, tokens: ServerTokens, pad: bool, out: &mut Vec<u8>) -> bool {
    let Some((title, heading, below)) = words(status) else { return false };
    let mut put = |parts: &[&str]| parts.iter().for_each(|p| out.extend_from_slice(p.as_bytes()));
    put(&["<html>\r\n<head><title>", title, "</title></head>\r\n<body>\r\n<center><h1>", heading]);
    put(&["</h1></center>\r\n"]);
    if let Some(below) = below {
        put(&["<center>", below, "</center>\r\n"]);
    }
    put(&["<hr><center>", status::server_name(tokens), "</center>\r\n</body>\r\n</html>\r\n"]);
    if pad && status >= 400 {
        put(&[PADDING; 6]);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(status: u16, tokens: ServerTokens, pad: bool) -> Option<String> {
        let mut out = Vec::new();
        page(status, tokens, pad, &mut out).then(|| String::from_utf8(out).expect("pages are ASCII"))
    }

    #[test]
    fn pages_are_nginx_s() {
        let want = "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n\
                    <center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
        assert_eq!(text(404, ServerTokens::Off, false).as_deref(), Some(want));
        let found = text(302, ServerTokens::On, false).expect("a page");
        assert!(found.contains("302 Found") && found.contains(status::SERVER_FULL));
    }

    #[test]
    fn special_pages_say_why_and_errors_alone_are_padded() {
        let large = text(494, ServerTokens::On, true).expect("a page");
        assert!(large.contains("<title>400 Request Header Or Cookie Too Large</title>"));
        assert_eq!(large.matches(PADDING).count(), 6);
        assert!(!text(301, ServerTokens::On, true).expect("a page").contains(PADDING));
        assert_eq!(text(204, ServerTokens::On, true), None);
        assert_eq!(text(418, ServerTokens::On, true), None);
    }
}
