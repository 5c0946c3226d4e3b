//! The files of `sticky learn`: paths from the prefix on, secrets and certificates read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::upstream::emerg;
use crate::config::sticky::Sticky as Settings;
use crate::config::upstream as settings;
use crate::diag::Diags;
use crate::plan::{Secret, Sticky, StoreFile, StoreTls, Upstream};
use crate::sys;

/// The largest file that is read whole.
const LARGEST: u64 = 1 << 20;

/// Completes what `block` says of files. What cannot be read is said at the place of `sticky`.
pub fn files(upstream: &mut Upstream, block: &settings::Upstream, prefix: &Path, diags: &mut Diags) {
    let (Some(Sticky::Learn(learn)), Some(Settings::Learn(said))) = (&mut upstream.sticky, &block.sticky)
    else {
        return;
    };
    if let Some(snapshot) = &mut learn.snapshot {
        snapshot.path = prefix.join(&snapshot.path);
    }
    let Some(store) = learn.store.as_mut().map(Arc::make_mut) else { return };
    let mut read = |path: &mut PathBuf| {
        *path = prefix.join(&*path);
        match text(path) {
            Ok(text) => Secret(text.into()),
            Err(why) => {
                emerg(diags, "open-failed", why, said.at);
                Secret::default()
            }
        }
    };
    if let Some(path) = &mut store.password_file {
        let Secret(text) = read(path);
        // One line; an editor ends it with a line feed.
        let line = text.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
        store.password = Some(Secret(line.into()));
    }
    if let Some(tls) = &mut store.tls {
        let pair = tls.certificate.iter_mut().flat_map(|(certificate, key)| [certificate, key]);
        for file in tls.ca.iter_mut().chain(pair) {
            file.text = read(&mut file.path);
        }
    }
    for (path, what) in store.tls.as_ref().map_or_else(Vec::new, not_pem) {
        emerg(diags, "bad-value", format!("no {what} in \"{}\"", path.display()), said.at);
    }
    let password = store.password_file.as_ref().zip(store.password.as_ref());
    if let Some((path, Secret(password))) = password
        && std::str::from_utf8(password).is_err()
    {
        emerg(diags, "bad-value", format!("the password in \"{}\" is not UTF-8", path.display()), said.at);
    }
}

/// Says which files two zones would write.
pub fn shared(upstreams: &[Upstream], blocks: &[settings::Upstream], diags: &mut Diags) {
    let mut seen = HashMap::<&Path, &str>::new();
    for (upstream, block) in upstreams.iter().zip(blocks) {
        let (Some(Sticky::Learn(learn)), Some(Settings::Learn(said))) = (&upstream.sticky, &block.sticky)
        else {
            continue;
        };
        let Some(path) = learn.snapshot.as_ref().map(|s| &*s.path) else { continue };
        if let Some(first) = seen.insert(path, &upstream.name) {
            let text = format!("snapshot \"{}\" is already used in upstream \"{first}\"", path.display());
            emerg(diags, "duplicate", text, said.at);
        }
    }
}

/// The files that were read and are not what they should be.
fn not_pem(tls: &StoreTls) -> Vec<(&Path, &'static str)> {
    let certificate = |file: &StoreFile| {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&file.text.0).collect();
        all.is_ok_and(|list| !list.is_empty())
    };
    let key = |file: &StoreFile| PrivateKeyDer::from_pem_slice(&file.text.0).is_ok();
    let pair = tls.certificate.as_ref();
    let certificates = tls.ca.iter().chain(pair.map(|p| &p.0)).map(|f| (f, certificate(f), "certificate"));
    let keys = pair.map(|p| (&p.1, key(&p.1), "private key"));
    let bad = certificates.chain(keys).filter(|(file, good, _)| !good && !file.text.0.is_empty());
    bad.map(|(file, _, what)| (&*file.path, what)).collect()
}

fn text(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |call: &str, e: &std::io::Error| {
        format!("{call}() \"{}\" failed ({})", path.display(), sys::err_text(e))
    };
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() > LARGEST => {
            return Err(format!("\"{}\" is too large", path.display()));
        }
        Ok(meta) if meta.is_dir() => return Err(format!("\"{}\" is a directory", path.display())),
        Ok(_) => {}
        Err(e) => return Err(failed("open", &e)),
    }
    let text = std::fs::read(path).map_err(|e| failed("open", &e))?;
    if text.is_empty() { Err(format!("\"{}\" is empty", path.display())) } else { Ok(text) }
}
