//! `tenrec dump`: a configuration as crossplane's JSON, and back.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::diag::{Diags, SourceMap};
use crate::source::{self, Conf};
use crate::sys;

use super::build::{self, Built};
use super::crossplane::{self, Wanted};
use super::sub::{Words, print, stdin};
use super::write::{create, replace};

pub(super) fn run(words: Words) -> Result<u8, String> {
    let [name] = &words.operands[..] else { return Err("one file is needed".to_owned()) };
    if words.has("build") {
        let text = if name == "-" { stdin()? } else { read(Path::new(name))? };
        return build(&name.to_string_lossy(), &text, words.value("directory").map(Path::new));
    }
    if words.has("directory") {
        return Err("\"--directory\" goes with \"--build\"".to_owned());
    }
    let wanted = Wanted { comments: words.has("include-comments"), single: words.has("single-file") };
    let (conf, diags) = if wanted.single {
        one(&name.to_string_lossy(), &read(Path::new(name))?)
    } else {
        let mut diags = Diags::new();
        // Relative names stay as they were given.
        (source::load(Path::new(name), Path::new(""), None, &mut diags), diags)
    };
    if conf.main_file.is_none() {
        return Err(diags.iter().next().map_or(String::new(), |d| d.text().into_owned()));
    }
    print(crossplane::dump(&conf, &diags, wanted).as_bytes());
    Ok(u8::from(diags.fatal()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| format!("{}: {}", path.display(), sys::err_text(&e)))
}

fn build(name: &str, json: &[u8], directory: Option<&Path>) -> Result<u8, String> {
    let payload: Value = serde_json::from_slice(json).map_err(|e| format!("{name}: {e}"))?;
    let files = build::build(&payload).map_err(|e| format!("{name}: {e}"))?;
    for (i, file) in files.iter().enumerate() {
        let again = again(file);
        let want = payload.pointer(&format!("/config/{i}/parsed"));
        if want.map(bare) != again.as_ref().map(bare) {
            return Err(format!(
                "{name}: config {i} ({}) cannot be written as nginx would read it",
                file.name
            ));
        }
    }
    match directory {
        Some(directory) => write(&files, directory)?,
        None => {
            for file in &files {
                if files.len() > 1 {
                    print(format!("# configuration file {}:\n", file.name).as_bytes());
                }
                print(file.text.as_bytes());
            }
        }
    }
    Ok(0)
}

/// The directives of a text, read again; `None`: it has errors.
fn again(file: &Built) -> Option<Value> {
    let (conf, diags) = one(&file.name, file.text.as_bytes());
    let text = crossplane::dump(&conf, &diags, Wanted { comments: true, single: true });
    let mut value: Value = serde_json::from_str(&text).ok().filter(|_| !diags.fatal())?;
    value.pointer_mut("/config/0/parsed").map(Value::take)
}

/// A configuration of one file.
fn one(name: &str, text: &[u8]) -> (Conf, Diags) {
    let (mut map, mut diags) = (SourceMap::new(), Diags::new());
    let id = map.add(name.to_owned(), text.into(), None);
    let tree = crate::syntax::parse(&map, id, &mut diags);
    (Conf { map, trees: vec![tree], roots: vec![id], main_file: Some(id), ..Conf::default() }, diags)
}

/// What of a list of directives must come back: names, words, blocks, comments.
fn bare(list: &Value) -> Value {
    let item = |item: &Value| {
        let get = |key| item.get(key).cloned().unwrap_or_default();
        serde_json::json!([get("directive"), get("args"), get("comment"), item.get("block").map(bare)])
    };
    list.as_array().into_iter().flatten().map(item).collect()
}

/// Writes the files below a folder, at their places relative to the first of them.
fn write(files: &[Built], directory: &Path) -> Result<(), String> {
    let base = files.first().and_then(|f| Path::new(&f.name).parent()).unwrap_or(Path::new(""));
    let mut places = Vec::new();
    for file in files {
        let name = Path::new(&file.name);
        let inside = name.strip_prefix(base).unwrap_or(name);
        let plain = inside.components().all(|c| matches!(c, Component::Normal(_)));
        if !plain || inside.as_os_str().is_empty() {
            return Err(format!(
                "{}: not below the folder of the first file; nothing was written",
                file.name
            ));
        }
        places.push((directory.join(inside), file));
    }
    for (path, file) in places {
        let told = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let folder: PathBuf = path.parent().map(Path::to_path_buf).unwrap_or_default();
        std::fs::create_dir_all(&folder).map_err(|e| told(&sys::err_text(&e)))?;
        let written = if path.exists() {
            let old = read(&path)?;
            replace(&path, &old, file.text.as_bytes())
        } else {
            create(&path, file.text.as_bytes())
        };
        written.map_err(|e| told(&e))?;
    }
    Ok(())
}
