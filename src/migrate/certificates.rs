//! Certificates that an input names and does not hold: where they are expected.

use super::input::Place;
use super::model::Line;

/// The folder of placeholders.
const FOLDER: &str = "/etc/tenrec/certificates";

/// What is said of a field that names a certificate.
pub(super) const NOTE: &str =
    "the certificate is not in the input: put it and its key where the output names them";

/// The file of a name, whatever the name holds.
pub(super) fn file(name: &str, ending: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let name: String = name.rsplit('/').next().unwrap_or_default().chars().map(fit).collect();
    let name = name.trim_start_matches('.');
    let stem = [".crt", ".key", ".pem"].iter().find_map(|e| name.strip_suffix(e)).unwrap_or(name);
    format!("{FOLDER}/{}{ending}", if stem.is_empty() { "default" } else { stem })
}

/// The certificate and the key of a listener.
pub(super) fn lines(cite: Option<Place>, certificate: &str, key: &str) -> Vec<Line> {
    let mut first = Line::new(cite, ["ssl_certificate".to_owned(), file(certificate, ".crt")]);
    first.says = Some("put it there".to_owned());
    vec![first, Line::new(cite, ["ssl_certificate_key".to_owned(), file(key, ".key")])]
}

/// Clients show a certificate that one of these authorities signed.
pub(super) fn clients(cite: Option<Place>, how: &str, authorities: &str) -> Vec<Line> {
    vec![
        Line::new(cite, ["ssl_verify_client", how]),
        Line::new(cite, ["ssl_client_certificate".to_owned(), file(authorities, ".crt")]),
    ]
}

#[cfg(test)]
mod tests {
    use super::file;

    #[test]
    fn names_stay_in_the_folder() {
        for (name, expected) in [
            ("/Common/a.crt", "a.crt"),
            ("../../etc/passwd", "passwd.crt"),
            ("a b;c", "a_b_c.crt"),
            ("..", "default.crt"),
            ("", "default.crt"),
        ] {
            assert_eq!(file(name, ".crt"), format!("{}/{expected}", super::FOLDER), "{name}");
        }
    }
}
