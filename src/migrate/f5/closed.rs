//! What keeps somebody out on a BIG-IP and cannot be carried over: scripts, policies, modules, networks.

use super::super::input::Place;
use super::super::report::Class;
use super::Cx;
use super::read::{Entry, Object};

pub(super) const NOTE: &str =
    "dropped, closed instead: it may keep somebody out; nobody gets in until you say who may";

/// Words of a script or a policy that end a request or look at who asks.
const REFUSES: [&str; 16] = [
    "reject",
    "drop",
    "discard",
    "reset",
    "shutdown",
    "TCP::close",
    "HTTP::respond 4",
    "HTTP::respond \"4",
    "deny",
    "IP::client_addr",
    "IP::addr",
    "AUTH::",
    "ACCESS::",
    "ASM::",
    "X509::",
    "class match",
];

/// The rule of every device that sends requests to https.
pub(super) const REDIRECT: &str = "_sys_https_redirect";

/// Whether a profile keeps somebody out.
pub(super) fn profile(kind: &str, name: &str) -> bool {
    const GUARDS: [&str; 14] = [
        "access",
        "apm",
        "asm",
        "websecurity",
        "security",
        "bot-defense",
        "dos",
        "ip-intelligence",
        "auth",
        "ldap",
        "radius",
        "fraud",
        "saml",
        "oauth",
    ];
    GUARDS.iter().any(|g| kind.contains(g) || name.to_ascii_lowercase().contains(g))
}

/// What becomes of the entries of a virtual server that may keep somebody out; the place of one that does.
pub(super) fn entries(cx: &mut Cx<'_>, object: &Object) -> Option<Place> {
    const GUARDS: [&str; 7] = [
        "fw-enforced-policy",
        "fw-rules",
        "ip-intelligence-policy",
        "auth",
        "per-flow-request-access-policy",
        "service-policy",
        "access-policy",
    ];
    let mut shut = None;
    for entry in &object.entries {
        match entry.key.as_str() {
            "rules" | "policies" => {
                for named in &entry.inside {
                    if super::leaf(&named.key) == REDIRECT {
                        cx.account.all(named, Class::Exact, "a redirect");
                        continue;
                    }
                    let kind = if entry.key == "rules" { "ltm rule" } else { "ltm policy" };
                    let harmless = cx.object(kind, &named.key).is_some_and(|o| !refuses(o));
                    let note = match (harmless, kind) {
                        (false, _) => NOTE,
                        (true, "ltm rule") => "scripts are carried out by hand: see what they do",
                        (true, _) => "policies have no counterpart: say locations",
                    };
                    cx.account.all(named, Class::Dropped, note);
                    if !harmless {
                        shut.get_or_insert(named.place);
                    }
                }
                if entry.inside.is_empty() && entry.text() != "none" {
                    cx.account.all(entry, Class::Dropped, NOTE);
                    shut.get_or_insert(entry.place);
                } else if entry.inside.iter().all(|n| super::leaf(&n.key) == REDIRECT) {
                    cx.account.exact(entry, "");
                } else {
                    cx.account.dropped(entry, "carried out by hand");
                }
            }
            "vlans-enabled" | "vlans" if object.get("vlans-enabled").is_some() => {
                let note = "dropped, closed instead: it is reached from some networks only; nobody gets in until you say from where";
                cx.account.all(entry, Class::Dropped, note);
                shut.get_or_insert(entry.place);
            }
            key if GUARDS.contains(&key) && entry.text() != "none" => {
                cx.account.all(entry, Class::Dropped, NOTE);
                shut.get_or_insert(entry.place);
            }
            _ => {}
        }
    }
    shut
}

fn refuses(object: &Object) -> bool {
    fn inside(entry: &Entry) -> bool {
        let said = |text: &str| REFUSES.iter().any(|w| text.contains(w));
        said(&entry.key) || said(entry.text()) || entry.inside.iter().any(inside)
    }
    object.entries.iter().any(inside)
        || object.script.as_ref().is_some_and(|s| REFUSES.iter().any(|w| s.contains(w)))
}
