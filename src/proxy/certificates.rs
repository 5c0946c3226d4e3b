//! Certificates whose names have variables: read when a connection is made, and kept for the next
//! (`proxy_ssl_certificate_cache`). nginx's rules: what is kept is taken as it is for a while, then its file is looked at;
//! the least recently used one gives way; a key that had a password is not kept.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::rc::Rc;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use crate::compile::certs::{self, Place};
use crate::plan::{CertificateCache, ProxyCertificate};
use crate::sys::x509::{Certificate, Key};
use crate::vars::{self, Source};

/// The caches of a thread, each of one directive.
#[derive(Debug, Default)]
pub(super) struct Caches(Vec<Cache>);

/// What a directive keeps, most recently used first.
#[derive(Debug)]
struct Cache {
    rules: Arc<CertificateCache>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    place: Place,
    kept: Kept,
    /// Seconds since 1970.
    created: i64,
    accessed: i64,
    file: Mark,
}

#[derive(Debug, Clone)]
enum Kept {
    Chain(Rc<[Certificate]>),
    Key(Rc<Key>),
}

/// Tells one state of a file from another: its time and number. 0: it is not there, or there is none.
type Mark = (i64, u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Chain,
    Key,
}

impl Kept {
    fn kind(&self) -> Kind {
        match self {
            Self::Chain(_) => Kind::Chain,
            Self::Key(_) => Kind::Key,
        }
    }

    fn load(kind: Kind, place: &Place, passwords: &[Box<[u8]>]) -> Result<Self, String> {
        Ok(match kind {
            Kind::Chain => Self::Chain(certs::chain(place)?.into()),
            Kind::Key => Self::Key(Rc::new(certs::key(place, passwords)?)),
        })
    }

    fn is_secret(&self) -> bool {
        matches!(self, Self::Key(key) if key.encrypted)
    }
}

fn mark(place: &Place) -> Mark {
    let Place::File(path) = place else { return (0, 0) };
    fs::metadata(path).map_or((0, 0), |meta| (meta.mtime(), meta.ino()))
}

impl Cache {
    /// What is at `place`. `anew`: what is kept is not taken as it is.
    fn fetch(
        &mut self,
        kind: Kind,
        place: &Place,
        passwords: &[Box<[u8]>],
        now: i64,
        anew: bool,
    ) -> Result<Kept, String> {
        let seconds = |d: std::time::Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
        let found = self.entries.iter().position(|e| e.kept.kind() == kind && e.place == *place);
        if let Some(at) = found {
            let mut entry = self.entries.remove(at);
            let file = matches!(place, Place::File(_));
            if file && (anew || now - entry.created > seconds(self.rules.valid)) {
                let mark = mark(place);
                if anew || mark != entry.file || mark == (0, 0) {
                    entry.kept = Kept::load(kind, place, passwords)?;
                    entry.file = mark;
                    if entry.kept.is_secret() {
                        return Ok(entry.kept);
                    }
                }
                entry.created = now;
            }
            entry.accessed = now;
            let kept = entry.kept.clone();
            self.entries.insert(0, entry);
            return Ok(kept);
        }
        let kept = Kept::load(kind, place, passwords)?;
        if kept.is_secret() {
            return Ok(kept);
        }
        let inactive = seconds(self.rules.inactive);
        for _ in 0..2 {
            self.entries.pop_if(|e| now - e.accessed > inactive);
        }
        if self.entries.len() >= self.rules.max {
            self.entries.pop();
        }
        let entry = Entry {
            place: place.clone(),
            kept: kept.clone(),
            created: now,
            accessed: now,
            file: mark(place),
        };
        self.entries.insert(0, entry);
        Ok(kept)
    }
}

impl Caches {
    fn of(&mut self, rules: &Arc<CertificateCache>) -> &mut Cache {
        let at = match self.0.iter().position(|c| Arc::ptr_eq(&c.rules, rules)) {
            Some(at) => at,
            None => {
                self.0.push(Cache { rules: rules.clone(), entries: Vec::new() });
                self.0.len() - 1
            }
        };
        &mut self.0[at]
    }

    /// The certificate that a connection shows; `None`: the variables say none. `Err`: nginx's line.
    pub(super) fn find<S: Source>(
        &mut self,
        asked: &ProxyCertificate,
        source: &S,
        now: i64,
    ) -> Result<Option<Arc<CertifiedKey>>, String> {
        let name = vars::eval_to_vec(&asked.certificate, source);
        if name.is_empty() {
            return Ok(None);
        }
        let chain_at = Place::new(&name, &asked.folder);
        let key_at = Place::of_key(&vars::eval_to_vec(&asked.key, source), &asked.folder);
        let mut cache = asked.cache.as_ref().map(|rules| self.of(rules));
        let mut read = |kind, place: &Place, anew| match &mut cache {
            Some(cache) => cache.fetch(kind, place, &asked.passwords, now, anew),
            None => Kept::load(kind, place, &asked.passwords),
        };
        let mut both = |anew| {
            let (Kept::Chain(chain), Kept::Key(key)) =
                (read(Kind::Chain, &chain_at, anew)?, read(Kind::Key, &key_at, anew)?)
            else {
                return Err(String::new());
            };
            certs::fit(&chain, &key, &key_at, "SSL_use")
        };
        // Of two files that are replaced one after the other, one may have been kept.
        both(false).or_else(|e| if asked.cache.is_some() { both(true) } else { Err(e) }).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn put(&self, name: &str, fixture: &str) {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tls").join(fixture);
            let new = self.0.path().join("new");
            fs::copy(from, &new).unwrap();
            fs::rename(new, self.path(name)).unwrap();
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn shown(&self, cache: &mut Cache, name: &str, now: i64) -> Option<Vec<u8>> {
            let place = Place::File(self.path(name));
            match cache.fetch(Kind::Chain, &place, &[], now, false) {
                Ok(Kept::Chain(chain)) => chain.first().map(Certificate::der),
                _ => None,
            }
        }
    }

    fn cache(max: usize) -> Cache {
        let (inactive, valid) = (Duration::from_secs(10), Duration::from_secs(60));
        Cache { rules: Arc::new(CertificateCache { max, inactive, valid }), entries: Vec::new() }
    }

    #[test]
    fn what_is_kept_is_read_again_when_its_time_is_over_and_its_file_another() {
        let files = Files(tempfile::tempdir().unwrap());
        let mut cache = cache(2);
        files.put("a", "client.crt");
        let first = files.shown(&mut cache, "a", 100).unwrap();
        files.put("a", "backend.crt");
        assert_eq!(files.shown(&mut cache, "a", 160).unwrap(), first);
        assert_ne!(files.shown(&mut cache, "a", 161).unwrap(), first);
        fs::remove_file(files.path("a")).unwrap();
        assert!(files.shown(&mut cache, "a", 221).is_some());
        assert!(files.shown(&mut cache, "a", 222).is_none());
        assert!(cache.entries.is_empty());
    }

    #[test]
    fn the_least_recently_used_gives_way_and_the_idle_go() {
        let files = Files(tempfile::tempdir().unwrap());
        let mut cache = cache(2);
        for name in ["a", "b", "c"] {
            files.put(name, "client.crt");
            files.shown(&mut cache, name, 100).unwrap();
        }
        assert_eq!(cache.entries.len(), 2);
        files.shown(&mut cache, "a", 111).unwrap();
        assert_eq!(cache.entries.len(), 1, "both others were idle for more than ten seconds");
    }

    #[test]
    fn a_key_with_a_password_is_not_kept() {
        let files = Files(tempfile::tempdir().unwrap());
        let mut cache = cache(2);
        files.put("k", "client.pkcs8.key");
        let place = Place::File(files.path("k"));
        let passwords = [Box::from(&b"secret"[..])];
        assert!(cache.fetch(Kind::Key, &place, &passwords, 100, false).is_ok());
        assert!(cache.entries.is_empty());
        files.put("k", "client.key");
        assert!(cache.fetch(Kind::Key, &place, &[], 100, false).is_ok());
        assert_eq!(cache.entries.len(), 1);
    }
}
