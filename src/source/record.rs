//! A configuration as bytes: every file as it was read, so that it can be read again after the files have changed.
//!
//! `tenrec-configuration-1\n`, then texts, each with its length before it (four bytes, little-endian): the main file's
//! name, the folder of relative includes, the prefix, the directives of `-g`; how many files, and the name and the text
//! of each; how many patterns of `include`, and for each the pattern, how many files it brought, and their names.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Conf;
use super::load::load_sealed;
use crate::diag::Diags;

const MAGIC: &[u8] = b"tenrec-configuration-1\n";

/// What was recorded, read again. Nothing of it comes from the disk.
#[derive(Debug)]
pub struct Recalled {
    pub conf: Conf,
    pub prefix: PathBuf,
    pub diags: Diags,
}

/// The record of `conf`, which was loaded from `main` with `prefix` and the directives of `-g`.
pub fn record(conf: &Conf, main: &Path, prefix: &Path, globals: Option<&str>) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    let mut put = |bytes: &[u8]| {
        out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(bytes);
    };
    let folder = main.parent().unwrap_or(Path::new(""));
    for path in [main, folder, prefix] {
        put(path.as_os_str().as_bytes());
    }
    put(globals.unwrap_or_default().as_bytes());
    let files: Vec<_> = conf.map.files().map(|(_, f)| f).filter(|f| !f.is_command_line()).collect();
    put(files.len().to_string().as_bytes());
    for file in files {
        put(file.name.as_bytes());
        put(&file.text);
    }
    put(conf.globs.len().to_string().as_bytes());
    for (pattern, found) in &conf.globs {
        put(pattern.as_os_str().as_bytes());
        put(found.len().to_string().as_bytes());
        found.iter().for_each(|path| put(path.as_os_str().as_bytes()));
    }
    out
}

/// Reads a record; `None`: it is not one, or not whole.
pub fn recall(bytes: &[u8]) -> Option<Recalled> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut next = || -> Option<&[u8]> {
        let (len, after) = rest.split_first_chunk::<4>()?;
        let (text, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        rest = after;
        Some(text)
    };
    let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    let count = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<usize>().ok();
    let (main, folder, prefix) = (path(next()?), path(next()?), path(next()?));
    let globals = std::str::from_utf8(next()?).ok()?;
    let (mut given, mut globs) = (HashMap::new(), HashMap::new());
    for _ in 0..count(next()?)? {
        let name = path(next()?);
        given.insert(name, next()?.to_vec());
    }
    for _ in 0..count(next()?)? {
        let (pattern, many) = (path(next()?), count(next()?)?);
        let mut found = Vec::new();
        for _ in 0..many {
            found.push(path(next()?));
        }
        globs.insert(pattern, found);
    }
    let mut diags = Diags::new();
    let globals = Some(globals).filter(|g| !g.is_empty());
    let conf = load_sealed(&main, folder, globals, given, globs, &mut diags);
    Some(Recalled { conf, prefix, diags })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::load;

    #[test]
    fn a_record_outlives_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("d")).unwrap();
        std::fs::write(at("main"), "include d/*; include one; b;").unwrap();
        std::fs::write(at("d/x"), "x;\n\u{0}\u{1}").unwrap();
        std::fs::write(at("one"), "one \"é\";").unwrap();
        let mut diags = Diags::new();
        let conf = load(&at("main"), dir.path(), Some("g on;"), &mut diags);
        let bytes = record(&conf, &at("main"), dir.path(), Some("g on;"));
        let names = |conf: &Conf| conf.main().map(|d| d.name().to_owned()).collect::<Vec<_>>();
        let before = names(&conf);
        assert_eq!(before.first().map(String::as_str), Some("g"));
        std::fs::write(at("d/new"), "new;").unwrap();
        for name in ["d/x", "one", "main"] {
            std::fs::remove_file(at(name)).unwrap();
        }
        let again = recall(&bytes).unwrap();
        assert_eq!((names(&again.conf), again.prefix.as_path()), (before, dir.path()));
        assert_eq!(again.diags.iter().count(), diags.iter().count());
        let files =
            |c: &Conf| c.map.files().map(|(_, f)| (f.name.clone(), f.text.to_vec())).collect::<Vec<_>>();
        assert_eq!(files(&again.conf), files(&conf));
        for cut in 0..bytes.len() {
            assert!(recall(&bytes[..cut]).is_none(), "{cut} of {} bytes", bytes.len());
        }
    }
}
