use super::*;

fn text(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a fixture")
}

fn chain(name: &str) -> Vec<Certificate> {
    certificates(&text(name)).expect("certificates")
}

fn verdict(trusted: &str, crl: &[Crl], depth: u32, shown: &str) -> i32 {
    let trust = Trust::new(&chain(trusted), crl, depth).expect("a store");
    trust.verify(&chain(shown), Purpose::Server).err().map_or(0, |e| e.0)
}

#[test]
fn a_chain_is_judged_with_the_numbers_of_openssl() {
    for (trusted, shown, depth, code) in [
        ("ca.crt", "backend.crt", 1, 0),
        ("ca.crt", "backend.crt", 0, 0),
        ("ca.crt", "deep.chain.crt", 1, 0),
        ("ca.crt", "deep.chain.crt", 0, 20),
        ("ca.crt", "expired.crt", 1, 10),
        ("ca.crt", "own.crt", 1, 18),
        ("own.crt", "backend.crt", 1, 21),
        ("own.crt", "own.crt", 1, 0),
        ("plain.crt", "plain.crt", 1, 0),
        ("backend.crt", "backend.crt", 1, 21),
    ] {
        assert_eq!(verdict(trusted, &[], depth, shown), code, "{shown} by {trusted}, depth {depth}");
    }
    assert_eq!(verify_text(21), "unable to verify the first certificate");
}

#[test]
fn what_is_revoked_is_refused_and_every_issuer_needs_a_list() {
    let crl = revocations(&text("ca.crl")).expect("a list");
    assert_eq!(verdict("ca.crt", &crl, 1, "backend.crt"), 0);
    assert_eq!(verdict("ca.crt", &crl, 1, "revoked.crt"), 23);
    assert_eq!(verdict("ca.crt", &crl, 1, "deep.chain.crt"), 3);
}

#[test]
fn names_are_those_of_the_alternative_ones_or_else_the_subjects() {
    for (cert, name, fits) in [
        ("backend.crt", "backend.test", true),
        ("backend.crt", "BACKEND.test", true),
        ("backend.crt", "a.wild.test", true),
        ("backend.crt", "a.b.wild.test", false),
        ("backend.crt", "wild.test", false),
        ("backend.crt", "backend", false),
        ("backend.crt", "", false),
        ("plain.crt", "plain.test", true),
        ("plain.crt", "other.test", false),
    ] {
        assert_eq!(chain(cert)[0].is_for(name.as_bytes()), fits, "{name} for {cert}");
    }
}

#[test]
fn keys_are_read_plain_and_encrypted_in_both_forms() {
    let certificate = &chain("client.crt")[0];
    let plain = private_key(&text("client.key"), &[] as &[&[u8]]).expect("a key");
    assert!(plain.is_of(certificate) && !plain.encrypted);
    assert!(!plain.is_of(&chain("backend.crt")[0]));
    for file in ["client.pkcs8.key", "client.old.key"] {
        let key = private_key(&text(file), &["x", "secret"]).expect("the second password");
        assert!(key.is_of(certificate) && key.encrypted, "{file}");
        assert_eq!(key.pkcs8(), plain.pkcs8());
        assert_eq!(private_key(&text(file), &["x"]).err(), Some(PemError::BadPassword), "{file}");
        assert_eq!(private_key(&text(file), &[] as &[&[u8]]).err(), Some(PemError::NoPassword), "{file}");
    }
}

#[test]
fn what_is_wrong_with_a_text_is_told() {
    let good = text("backend.crt");
    assert_eq!(certificates(b"").err(), Some((PemError::NoStart, 0)));
    assert_eq!(certificates(b"garbage").err(), Some((PemError::NoStart, 0)));
    assert_eq!(certificates(&good[..good.len() - 40]).err(), Some((PemError::BadEnd, 0)));
    let second = [&good[..], &good[..good.len() - 40]].concat();
    assert_eq!(certificates(&second).err(), Some((PemError::BadEnd, 1)));
    let short = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(certificates(short).err(), Some((PemError::BadData, 0)));
    let odd = b"-----BEGIN CERTIFICATE-----\nA!AA\n-----END CERTIFICATE-----\n";
    assert_eq!(certificates(odd).err(), Some((PemError::BadBase64, 0)));
    assert_eq!(revocations(&good).err(), Some(PemError::NoStart));
    assert_eq!(private_key(&good, &[] as &[&[u8]]).err(), Some(PemError::NoStart));
}

#[test]
fn a_certificate_survives_its_der_and_no_other_bytes_make_one() {
    let der = chain("backend.crt")[0].der();
    assert_eq!(Certificate::from_der(&der).expect("itself").der(), der);
    assert!(Certificate::from_der(&der[1..]).is_none());
    assert!(Certificate::from_der(&[&der[..], b"x"].concat()).is_none());
    assert!(Certificate::from_der(b"").is_none());
}
