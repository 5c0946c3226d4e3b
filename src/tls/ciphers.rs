//! Which suites a list of OpenSSL's selects (`ssl_ciphers`): the words and their operators as ciphers(1) has them, carried
//! out on OpenSSL's list; of what is left, those that rustls has are spoken.

use rustls::SupportedCipherSuite;
use rustls::crypto::aws_lc_rs::cipher_suite as ours;

/// OpenSSL 3's suites before TLS 1.3, in the order in which a list finds them.
const ALL: &str = "\
    ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384 DHE-DSS-AES256-GCM-SHA384 \
    DHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305 \
    DHE-RSA-CHACHA20-POLY1305 ECDHE-ECDSA-AES256-CCM8 ECDHE-ECDSA-AES256-CCM DHE-RSA-AES256-CCM8 \
    DHE-RSA-AES256-CCM ECDHE-ECDSA-ARIA256-GCM-SHA384 ECDHE-ARIA256-GCM-SHA384 \
    DHE-DSS-ARIA256-GCM-SHA384 DHE-RSA-ARIA256-GCM-SHA384 ADH-AES256-GCM-SHA384 \
    ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 DHE-DSS-AES128-GCM-SHA256 \
    DHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES128-CCM8 ECDHE-ECDSA-AES128-CCM DHE-RSA-AES128-CCM8 \
    DHE-RSA-AES128-CCM ECDHE-ECDSA-ARIA128-GCM-SHA256 ECDHE-ARIA128-GCM-SHA256 \
    DHE-DSS-ARIA128-GCM-SHA256 DHE-RSA-ARIA128-GCM-SHA256 ADH-AES128-GCM-SHA256 \
    ECDHE-ECDSA-AES256-SHA384 ECDHE-RSA-AES256-SHA384 DHE-RSA-AES256-SHA256 DHE-DSS-AES256-SHA256 \
    ECDHE-ECDSA-CAMELLIA256-SHA384 ECDHE-RSA-CAMELLIA256-SHA384 DHE-RSA-CAMELLIA256-SHA256 \
    DHE-DSS-CAMELLIA256-SHA256 ADH-AES256-SHA256 ADH-CAMELLIA256-SHA256 ECDHE-ECDSA-AES128-SHA256 \
    ECDHE-RSA-AES128-SHA256 DHE-RSA-AES128-SHA256 DHE-DSS-AES128-SHA256 ECDHE-ECDSA-CAMELLIA128-SHA256 \
    ECDHE-RSA-CAMELLIA128-SHA256 DHE-RSA-CAMELLIA128-SHA256 DHE-DSS-CAMELLIA128-SHA256 ADH-AES128-SHA256 \
    ADH-CAMELLIA128-SHA256 ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA DHE-RSA-AES256-SHA \
    DHE-DSS-AES256-SHA DHE-RSA-CAMELLIA256-SHA DHE-DSS-CAMELLIA256-SHA AECDH-AES256-SHA ADH-AES256-SHA \
    ADH-CAMELLIA256-SHA ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA DHE-RSA-AES128-SHA \
    DHE-DSS-AES128-SHA DHE-RSA-CAMELLIA128-SHA DHE-DSS-CAMELLIA128-SHA AECDH-AES128-SHA ADH-AES128-SHA \
    ADH-CAMELLIA128-SHA RSA-PSK-AES256-GCM-SHA384 DHE-PSK-AES256-GCM-SHA384 RSA-PSK-CHACHA20-POLY1305 \
    DHE-PSK-CHACHA20-POLY1305 ECDHE-PSK-CHACHA20-POLY1305 DHE-PSK-AES256-CCM8 DHE-PSK-AES256-CCM \
    RSA-PSK-ARIA256-GCM-SHA384 DHE-PSK-ARIA256-GCM-SHA384 AES256-GCM-SHA384 AES256-CCM8 AES256-CCM \
    ARIA256-GCM-SHA384 PSK-AES256-GCM-SHA384 PSK-CHACHA20-POLY1305 PSK-AES256-CCM8 PSK-AES256-CCM \
    PSK-ARIA256-GCM-SHA384 RSA-PSK-AES128-GCM-SHA256 DHE-PSK-AES128-GCM-SHA256 DHE-PSK-AES128-CCM8 \
    DHE-PSK-AES128-CCM RSA-PSK-ARIA128-GCM-SHA256 DHE-PSK-ARIA128-GCM-SHA256 AES128-GCM-SHA256 \
    AES128-CCM8 AES128-CCM ARIA128-GCM-SHA256 PSK-AES128-GCM-SHA256 PSK-AES128-CCM8 PSK-AES128-CCM \
    PSK-ARIA128-GCM-SHA256 AES256-SHA256 CAMELLIA256-SHA256 AES128-SHA256 CAMELLIA128-SHA256 \
    ECDHE-PSK-AES256-CBC-SHA384 ECDHE-PSK-AES256-CBC-SHA SRP-DSS-AES-256-CBC-SHA SRP-RSA-AES-256-CBC-SHA \
    SRP-AES-256-CBC-SHA RSA-PSK-AES256-CBC-SHA384 DHE-PSK-AES256-CBC-SHA384 RSA-PSK-AES256-CBC-SHA \
    DHE-PSK-AES256-CBC-SHA ECDHE-PSK-CAMELLIA256-SHA384 RSA-PSK-CAMELLIA256-SHA384 \
    DHE-PSK-CAMELLIA256-SHA384 AES256-SHA CAMELLIA256-SHA PSK-AES256-CBC-SHA384 PSK-AES256-CBC-SHA \
    PSK-CAMELLIA256-SHA384 ECDHE-PSK-AES128-CBC-SHA256 ECDHE-PSK-AES128-CBC-SHA SRP-DSS-AES-128-CBC-SHA \
    SRP-RSA-AES-128-CBC-SHA SRP-AES-128-CBC-SHA RSA-PSK-AES128-CBC-SHA256 DHE-PSK-AES128-CBC-SHA256 \
    RSA-PSK-AES128-CBC-SHA DHE-PSK-AES128-CBC-SHA ECDHE-PSK-CAMELLIA128-SHA256 \
    RSA-PSK-CAMELLIA128-SHA256 DHE-PSK-CAMELLIA128-SHA256 AES128-SHA CAMELLIA128-SHA \
    PSK-AES128-CBC-SHA256 PSK-AES128-CBC-SHA PSK-CAMELLIA128-SHA256 ECDHE-ECDSA-NULL-SHA \
    ECDHE-RSA-NULL-SHA AECDH-NULL-SHA NULL-SHA256 ECDHE-PSK-NULL-SHA384 ECDHE-PSK-NULL-SHA256 \
    ECDHE-PSK-NULL-SHA RSA-PSK-NULL-SHA384 RSA-PSK-NULL-SHA256 DHE-PSK-NULL-SHA384 DHE-PSK-NULL-SHA256 \
    RSA-PSK-NULL-SHA DHE-PSK-NULL-SHA NULL-SHA NULL-MD5 PSK-NULL-SHA384 PSK-NULL-SHA256 PSK-NULL-SHA";

/// What a suite is, or what a word asks of one. In a word, a group of bits that is empty asks nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Kind {
    kx: u32,
    au: u32,
    enc: u32,
    mac: u32,
    version: u32,
    strength: u32,
}

const K_RSA: u32 = 1;
const K_DHE: u32 = 2;
const K_ECDHE: u32 = 4;
const K_PSK: u32 = 8;
const K_RSAPSK: u32 = 16;
const K_DHEPSK: u32 = 32;
const K_ECDHEPSK: u32 = 64;
const K_SRP: u32 = 128;
const A_RSA: u32 = 1;
const A_DSS: u32 = 2;
const A_NULL: u32 = 4;
const A_ECDSA: u32 = 8;
const A_PSK: u32 = 16;
const A_SRP: u32 = 32;
const E_NULL: u32 = 1;
const E_AES128: u32 = 2;
const E_AES256: u32 = 4;
const E_AES128GCM: u32 = 8;
const E_AES256GCM: u32 = 16;
const E_AES128CCM: u32 = 32;
const E_AES256CCM: u32 = 64;
const E_AES128CCM8: u32 = 128;
const E_AES256CCM8: u32 = 256;
const E_CHACHA20: u32 = 512;
const E_CAMELLIA128: u32 = 1024;
const E_CAMELLIA256: u32 = 2048;
const E_ARIA128: u32 = 4096;
const E_ARIA256: u32 = 8192;
const E_SEED: u32 = 16384;
const E_3DES: u32 = 32768;
const E_GCM: u32 = E_AES128GCM | E_AES256GCM;
const E_CCM8: u32 = E_AES128CCM8 | E_AES256CCM8;
const E_CCM: u32 = E_AES128CCM | E_AES256CCM | E_CCM8;
const M_SHA1: u32 = 1;
const M_SHA256: u32 = 2;
const M_SHA384: u32 = 4;
const M_AEAD: u32 = 8;
const V_OLD: u32 = 1;
const V_TLS10: u32 = 2;
const V_TLS12: u32 = 4;
const S_HIGH: u32 = 1;
const S_MEDIUM: u32 = 2;
const S_NONE: u32 = 4;

/// What a suite's name says.
fn kind_of(name: &str) -> Kind {
    let has = |part: &str| name.split('-').any(|p| p == part);
    let psk = has("PSK");
    let (kx, au) = match () {
        () if has("SRP") => (
            K_SRP,
            if has("RSA") {
                A_RSA
            } else if has("DSS") {
                A_DSS
            } else {
                A_SRP
            },
        ),
        () if psk && has("RSA") => (K_RSAPSK, A_RSA),
        () if psk && has("ECDHE") => (K_ECDHEPSK, A_PSK),
        () if psk && has("DHE") => (K_DHEPSK, A_PSK),
        () if psk => (K_PSK, A_PSK),
        () if has("ECDHE") => (K_ECDHE, if has("ECDSA") { A_ECDSA } else { A_RSA }),
        () if has("AECDH") => (K_ECDHE, A_NULL),
        () if has("ADH") => (K_DHE, A_NULL),
        () if has("DHE") => (K_DHE, if has("DSS") { A_DSS } else { A_RSA }),
        () => (K_RSA, A_RSA),
    };
    let gcm = has("GCM");
    let by_mode = |plain, gcm_, ccm, ccm8| match () {
        () if gcm => gcm_,
        () if has("CCM8") => ccm8,
        () if has("CCM") => ccm,
        () => plain,
    };
    let enc = match () {
        () if has("NULL") => E_NULL,
        () if has("AES256") => by_mode(E_AES256, E_AES256GCM, E_AES256CCM, E_AES256CCM8),
        () if has("AES128") => by_mode(E_AES128, E_AES128GCM, E_AES128CCM, E_AES128CCM8),
        () if has("CHACHA20") => E_CHACHA20,
        () if has("CAMELLIA256") => E_CAMELLIA256,
        () if has("CAMELLIA128") => E_CAMELLIA128,
        () if has("ARIA256") => E_ARIA256,
        () if has("ARIA128") => E_ARIA128,
        () if has("3DES") => E_3DES,
        () => E_SEED,
    };
    let aead = gcm || has("CCM") || has("CCM8") || has("CHACHA20");
    let mac = match () {
        () if aead => M_AEAD,
        () if has("SHA384") => M_SHA384,
        () if has("SHA256") => M_SHA256,
        () => M_SHA1,
    };
    let version = match () {
        () if mac != M_SHA1 => V_TLS12,
        () if kx & (K_ECDHE | K_ECDHEPSK) != 0 => V_TLS10,
        () => V_OLD,
    };
    let strength = match enc {
        E_NULL => S_NONE,
        E_SEED | E_3DES => S_MEDIUM,
        _ => S_HIGH,
    };
    Kind { kx, au, enc, mac, version, strength }
}

/// What a word asks; `None`: OpenSSL does not know it and passes it by.
fn word(name: &str) -> Option<Kind> {
    let kx = |kx| Kind { kx, ..Kind::default() };
    let au = |au| Kind { au, ..Kind::default() };
    let enc = |enc| Kind { enc, ..Kind::default() };
    let mac = |mac| Kind { mac, ..Kind::default() };
    let version = |version| Kind { version, ..Kind::default() };
    let strength = |strength| Kind { strength, ..Kind::default() };
    let any_psk = K_PSK | K_RSAPSK | K_DHEPSK | K_ECDHEPSK;
    Some(match name {
        "ALL" => enc(!E_NULL),
        "COMPLEMENTOFALL" | "eNULL" | "NULL" => enc(E_NULL),
        "COMPLEMENTOFDEFAULT" | "aNULL" => au(A_NULL),
        "kRSA" | "RSA" => kx(K_RSA),
        "kEDH" | "kDHE" => kx(K_DHE),
        "EDH" | "DHE" => Kind { kx: K_DHE, au: !A_NULL, ..Kind::default() },
        "DH" => kx(K_DHE),
        "kEECDH" | "kECDHE" | "ECDH" => kx(K_ECDHE),
        "EECDH" | "ECDHE" => Kind { kx: K_ECDHE, au: !A_NULL, ..Kind::default() },
        "ADH" => Kind { kx: K_DHE, au: A_NULL, ..Kind::default() },
        "AECDH" => Kind { kx: K_ECDHE, au: A_NULL, ..Kind::default() },
        "kPSK" => kx(K_PSK),
        "kRSAPSK" => kx(K_RSAPSK),
        "kDHEPSK" => kx(K_DHEPSK),
        "kECDHEPSK" => kx(K_ECDHEPSK),
        "PSK" => kx(any_psk),
        "aPSK" => au(A_PSK),
        "kSRP" | "SRP" => kx(K_SRP),
        "aSRP" => au(A_SRP),
        "aRSA" => au(A_RSA),
        "aDSS" | "DSS" => au(A_DSS),
        "aECDSA" | "ECDSA" => au(A_ECDSA),
        "AES128" => enc(E_AES128 | E_AES128GCM | E_AES128CCM | E_AES128CCM8),
        "AES256" => enc(E_AES256 | E_AES256GCM | E_AES256CCM | E_AES256CCM8),
        "AES" => enc(E_AES128 | E_AES256 | E_GCM | E_CCM),
        "AESGCM" => enc(E_GCM),
        "AESCCM" => enc(E_CCM),
        "AESCCM8" => enc(E_CCM8),
        "CHACHA20" => enc(E_CHACHA20),
        "CAMELLIA" => enc(E_CAMELLIA128 | E_CAMELLIA256),
        "CAMELLIA128" => enc(E_CAMELLIA128),
        "CAMELLIA256" => enc(E_CAMELLIA256),
        "ARIA" | "ARIAGCM" => enc(E_ARIA128 | E_ARIA256),
        "ARIA128" => enc(E_ARIA128),
        "ARIA256" => enc(E_ARIA256),
        "SEED" => enc(E_SEED),
        "3DES" => enc(E_3DES),
        "SHA1" | "SHA" => mac(M_SHA1),
        "SHA256" => mac(M_SHA256),
        "SHA384" => mac(M_SHA384),
        "SSLv3" => version(V_OLD),
        "TLSv1" | "TLSv1.0" => version(V_TLS10),
        "TLSv1.2" => version(V_TLS12),
        "HIGH" => strength(S_HIGH),
        "MEDIUM" => strength(S_MEDIUM),
        "FIPS" => enc(E_AES128 | E_AES256 | E_GCM | E_CCM | E_NULL),
        // Words that OpenSSL still knows; nothing is left of them.
        "LOW" | "EXP" | "EXPORT" | "EXPORT40" | "EXPORT56" | "MD5" | "RC4" | "RC2" | "DES" | "IDEA"
        | "GOST89MAC" | "GOST94" | "aGOST" | "aGOST01" | "aGOST12" | "kGOST" | "GOST" | "kDHr" | "kDHd"
        | "kDH" | "kECDHr" | "kECDHe" | "kECDH" | "aDH" | "aECDH" => strength(0x8000_0000),
        _ => return None,
    })
}

impl Kind {
    fn is(self, asked: Self) -> bool {
        let fits = |own: u32, asked: u32| asked == 0 || own & asked != 0;
        fits(self.kx, asked.kx)
            && fits(self.au, asked.au)
            && fits(self.enc, asked.enc)
            && fits(self.mac, asked.mac)
            && fits(self.version, asked.version)
            && fits(self.strength, asked.strength)
    }

    /// Both words at once.
    fn and(self, other: Self) -> Self {
        /// Asks for what nothing is.
        const NOTHING: u32 = 0x8000_0000;
        let both = |a: u32, b: u32| match (a, b) {
            (0, x) | (x, 0) => x,
            (a, b) if a & b == 0 => NOTHING,
            (a, b) => a & b,
        };
        Self {
            kx: both(self.kx, other.kx),
            au: both(self.au, other.au),
            enc: both(self.enc, other.enc),
            mac: both(self.mac, other.mac),
            version: both(self.version, other.version),
            strength: both(self.strength, other.strength),
        }
    }

    /// Bits of strength, roughly: what `@STRENGTH` sorts by.
    fn bits(self) -> u32 {
        match self.enc {
            E_NULL => 0,
            E_3DES => 112,
            E_AES128CCM8 | E_AES256CCM8 => 64,
            E_AES256 | E_AES256GCM | E_AES256CCM | E_CHACHA20 | E_CAMELLIA256 | E_ARIA256 => 256,
            _ => 128,
        }
    }
}

/// Why a list is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// OpenSSL finds nothing either.
    NoMatch,
    /// It finds only what rustls does not have.
    NoneOfOurs,
}

struct Entry {
    name: &'static str,
    kind: Kind,
    on: bool,
    dead: bool,
}

/// The names of the suites that a list selects, in its order.
fn select(list: &str) -> Vec<&'static str> {
    let mut entries: Vec<Entry> = ALL
        .split_whitespace()
        .map(|name| Entry { name, kind: kind_of(name), on: false, dead: false })
        .collect();
    let mut list = list;
    if let Some(rest) = list.strip_prefix("DEFAULT") {
        rule(&mut entries, "ALL");
        rule(&mut entries, "!COMPLEMENTOFDEFAULT");
        rule(&mut entries, "!eNULL");
        list = rest;
    }
    list.split([':', ' ', ',', ';']).for_each(|text| rule(&mut entries, text));
    entries.iter().filter(|e| e.on && !e.dead).map(|e| e.name).collect()
}

fn rule(entries: &mut Vec<Entry>, text: &str) {
    let (op, text) = match text.as_bytes().first() {
        Some(op @ (b'!' | b'-' | b'+' | b'@')) => (*op, &text[1..]),
        Some(_) => (b' ', text),
        None => return,
    };
    if op == b'@' {
        if text == "STRENGTH" {
            // Those that are off stay in front.
            let (mut on, off): (Vec<_>, Vec<_>) = entries.drain(..).partition(|e| e.on);
            on.sort_by_key(|e| std::cmp::Reverse(e.kind.bits()));
            entries.extend(off);
            entries.extend(on);
        }
        return;
    }
    let exact = ALL.split_whitespace().any(|name| name == text).then_some(text);
    let asked = match exact {
        Some(_) => Kind::default(),
        None => {
            let Some(asked) = text.split('+').map(word).collect::<Option<Vec<_>>>() else { return };
            asked.into_iter().fold(Kind::default(), Kind::and)
        }
    };
    let found = |e: &Entry| !e.dead && exact.map_or_else(|| e.kind.is(asked), |name| e.name == name);
    match op {
        b'!' => entries.iter_mut().filter(|e| found(e)).for_each(|e| (e.dead, e.on) = (true, false)),
        b'-' => entries.iter_mut().filter(|e| found(e)).for_each(|e| e.on = false),
        // Moved behind the others, on only if they were.
        _ => {
            let moves = |e: &Entry| found(e) && (e.on == (op == b'+'));
            let (mut moved, stay): (Vec<_>, Vec<_>) = entries.drain(..).partition(moves);
            moved.iter_mut().for_each(|e| e.on = true);
            entries.extend(stay);
            entries.extend(moved);
        }
    }
}

/// rustls' suite of an OpenSSL name.
fn ours(name: &str) -> Option<SupportedCipherSuite> {
    Some(match name {
        "ECDHE-ECDSA-AES256-GCM-SHA384" => ours::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-RSA-AES256-GCM-SHA384" => ours::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-ECDSA-CHACHA20-POLY1305" => ours::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-RSA-CHACHA20-POLY1305" => ours::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-ECDSA-AES128-GCM-SHA256" => ours::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-RSA-AES128-GCM-SHA256" => ours::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_AES_256_GCM_SHA384" => ours::TLS13_AES_256_GCM_SHA384,
        "TLS_CHACHA20_POLY1305_SHA256" => ours::TLS13_CHACHA20_POLY1305_SHA256,
        "TLS_AES_128_GCM_SHA256" => ours::TLS13_AES_128_GCM_SHA256,
        _ => return None,
    })
}

/// The suites before TLS 1.3 that a list selects and rustls has, in the list's order.
pub fn tls12(list: &str) -> Result<Vec<SupportedCipherSuite>, Refused> {
    let names = select(list);
    if names.is_empty() {
        return Err(Refused::NoMatch);
    }
    let suites: Vec<_> = names.into_iter().filter_map(ours).collect();
    if suites.is_empty() { Err(Refused::NoneOfOurs) } else { Ok(suites) }
}

/// The suites of TLS 1.3 in OpenSSL's order, or those of a list of names (`Ciphersuites` of SSL_CONF_cmd(3)); `None`: a
/// name is none, or none is left.
pub fn tls13(list: Option<&str>) -> Option<Vec<SupportedCipherSuite>> {
    let list = list.unwrap_or("TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256");
    let mut suites = Vec::new();
    for name in list.split(':').map(str::trim).filter(|n| !n.is_empty()) {
        match name {
            "TLS_AES_128_CCM_SHA256" | "TLS_AES_128_CCM_8_SHA256" => {}
            _ => suites.push(ours(name).filter(|_| name.starts_with("TLS_"))?),
        }
    }
    (!suites.is_empty()).then_some(suites)
}

/// A suite as OpenSSL names it (`$ssl_cipher`); one it has no name for is hexadecimal, as in nginx's `$ssl_ciphers`.
pub fn name(suite: rustls::CipherSuite) -> String {
    let full = suite.as_str().unwrap_or_default();
    if let Some(rest) = full.strip_prefix("TLS13_") {
        return format!("TLS_{rest}");
    }
    let short = openssl_name(full);
    match ALL.split_whitespace().find(|n| *n == short) {
        Some(name) => name.to_owned(),
        None => format!("0x{:04x}", u16::from(suite)),
    }
}

/// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` as `ECDHE-RSA-AES128-GCM-SHA256`.
fn openssl_name(full: &str) -> String {
    let Some((kx, rest)) = full.strip_prefix("TLS_").and_then(|f| f.split_once("_WITH_")) else {
        return String::new();
    };
    let kx = match kx {
        "RSA" => "",
        "DH_anon" => "ADH",
        "ECDH_anon" => "AECDH",
        kx => kx,
    };
    let rest = rest
        .replace("AES_128_CBC_", "AES128-")
        .replace("AES_256_CBC_", "AES256-")
        .replace("AES_128_", "AES128-")
        .replace("AES_256_", "AES256-")
        .replace("CAMELLIA_128_CBC_", "CAMELLIA128-")
        .replace("CAMELLIA_256_CBC_", "CAMELLIA256-")
        .replace("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305")
        .replace("CCM_8", "CCM8")
        .replace('_', "-");
    let kx = kx.replace('_', "-");
    if kx.is_empty() { rest } else { format!("{kx}-{rest}") }
}

#[cfg(test)]
#[path = "tests/ciphers.rs"]
mod tests;
