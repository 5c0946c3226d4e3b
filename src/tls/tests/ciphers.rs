//! Lists as people write them, beside `openssl ciphers` where there is one.

use super::*;

/// From guides, generators and distributions.
const LISTS: [&str; 24] = [
    "HIGH:!aNULL:!MD5",
    "DEFAULT",
    "DEFAULT@SECLEVEL=0",
    "ALL:!ADH:!EXPORT:!LOW:@STRENGTH",
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
     ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
     DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384",
    "EECDH+AESGCM:EDH+AESGCM",
    "EECDH+AESGCM:EDH+AESGCM:AES256+EECDH:AES256+EDH",
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE:ECDH:AES:HIGH:!NULL:!aNULL:!MD5:!ADH:!RC4",
    "EECDH+CHACHA20:EECDH+AES128:RSA+AES128:EECDH+AES256:RSA+AES256:EECDH+3DES:RSA+3DES:!MD5",
    "TLS13-CHACHA20-POLY1305-SHA256:TLS13-AES-128-GCM-SHA256:EECDH+ECDSA+AESGCM:EECDH+aRSA+AESGCM:!aNULL",
    "kEECDH+ECDSA+AES128:kEECDH+ECDSA+AES256:kEECDH+AES128:kEECDH+AES256:+SHA:!aNULL:!eNULL:!LOW:!EXP",
    "HIGH:!aNULL:!kRSA:!PSK:!SRP:!MD5:!RC4",
    "AES256+EECDH:AES256+EDH:!aNULL",
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!SHA1",
    "ECDHE-RSA-AES256-GCM-SHA512:DHE-RSA-AES256-GCM-SHA512:ECDHE-RSA-AES256-GCM-SHA384",
    "ALL:!aNULL:!ADH:!eNULL:!LOW:!EXP:RC4+RSA:+HIGH:+MEDIUM",
    "ALL:-ALL:ECDHE-RSA-AES128-GCM-SHA256:-AESGCM:CHACHA20",
    "ECDHE+AES:+AES128:-SHA384 CHACHA20,AESGCM;SHA256",
    "HIGH:MEDIUM:@STRENGTH:!SEED",
    "AES128-SHA:AES256-SHA",
    "RC4:LOW",
    "junk",
    "@SECLEVEL=2",
    "DHE-RSA-AES128-SHA",
];

#[test]
fn lists_select_what_openssl_selects() {
    let mut compared = 0;
    for list in LISTS {
        let Ok(out) = std::process::Command::new("openssl").args(["ciphers", "-v", list]).output() else {
            crate::sys::write_stderr(b"SKIPPED: openssl is not installed\n");
            return;
        };
        let theirs = String::from_utf8_lossy(&out.stdout).into_owned();
        let theirs: Vec<&str> = theirs
            .lines()
            .filter_map(|l| l.split_whitespace().next())
            .filter(|n| !n.starts_with("TLS_"))
            .collect();
        // A security level takes suites away that are none of ours; only those are compared.
        let ours_of = |names: &[&str]| -> Vec<String> {
            names.iter().filter(|n| ours(n).is_some()).map(|n| (*n).to_owned()).collect()
        };
        assert_eq!(ours_of(&select(list)), ours_of(&theirs), "{list}");
        compared += 1;
    }
    assert_eq!(compared, LISTS.len());
}

#[test]
fn a_list_without_one_of_ours_is_not_taken() {
    assert_eq!(tls12("AES128-SHA:AES256-SHA"), Err(Refused::NoneOfOurs));
    assert_eq!(tls12("junk"), Err(Refused::NoMatch));
    assert_eq!(tls12("RC4:LOW"), Err(Refused::NoMatch));
    assert_eq!(tls12("HIGH:!aNULL:!MD5").map(|s| s.len()), Ok(6));
    assert_eq!(tls13(Some("TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_SHA256")).map(|s| s.len()), Some(1));
    assert_eq!(tls13(Some("junk")), None);
    assert_eq!(tls13(None).map(|s| s.len()), Some(3));
}

#[test]
fn suites_have_the_names_of_openssl() {
    for suite in ALL.split_whitespace().filter_map(|n| ours(n).map(|s| (n, s))) {
        assert_eq!(name(suite.1.suite()), suite.0);
    }
    assert_eq!(name(rustls::CipherSuite::TLS13_AES_128_GCM_SHA256), "TLS_AES_128_GCM_SHA256");
    assert_eq!(name(rustls::CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA), "AES128-SHA");
    assert_eq!(name(rustls::CipherSuite::TLS_DHE_RSA_WITH_AES_256_CBC_SHA256), "DHE-RSA-AES256-SHA256");
    assert_eq!(name(rustls::CipherSuite::Unknown(0x1a1a)), "0x1a1a");
}
