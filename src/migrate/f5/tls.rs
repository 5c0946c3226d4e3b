//! Profiles of TLS.

use super::super::certificates::{clients, lines};
use super::super::model::Line;
use super::read::{Entry, Object};
use super::{Cx, leaf};

/// What a listener says for a profile of clients' TLS: the certificates are on the device, not in the input.
pub(super) fn client<'o>(cx: &Cx<'o>, profile: &Entry, found: Option<&'o Object>) -> Vec<Line> {
    let place = found.map_or(profile.place, |o| o.place);
    let name = leaf(&profile.key).to_owned();
    let said = |key: &str| {
        let entry = found.and_then(|o| cx.inherited(o, "ltm profile", key))?;
        Some(entry.text().to_owned()).filter(|t| !t.is_empty() && t != "none")
    };
    let chain = found.and_then(|o| cx.inherited(o, "ltm profile", "cert-key-chain"));
    let first = chain.and_then(|c| c.inside.first());
    let of = |key: &str| {
        let entry = first.and_then(|f| f.inside.iter().find(|e| e.key == key));
        entry.map(|e| e.text().to_owned()).filter(|t| !t.is_empty() && t != "none").or_else(|| said(key))
    };
    let certificate = of("cert").unwrap_or_else(|| name.clone());
    let key = of("key").unwrap_or_else(|| certificate.clone());
    let mut out = lines(Some(place), &certificate, &key);
    match said("peer-cert-mode").as_deref() {
        Some("require") => {
            let authority = said("ca-file").unwrap_or_else(|| format!("{name}_ca"));
            out.extend(clients(Some(place), "on", &authority));
        }
        Some("request") => {
            let authority = said("ca-file").unwrap_or_else(|| format!("{name}_ca"));
            out.extend(clients(Some(place), "optional_no_ca", &authority));
        }
        _ => {}
    }
    out
}
