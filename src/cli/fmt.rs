//! `tenrec fmt`.

use std::path::Path;

use crate::diag::{Diags, SourceMap, render_long};
use crate::syntax;
use crate::sys;

use super::sub::{Words, print, say, stdin};
use super::write::replace;

pub(super) fn run(words: Words) -> Result<u8, String> {
    if words.operands.is_empty() {
        return Err("no file is given; \"-\" is the standard input".to_owned());
    }
    let check = words.has("check");
    let mut code = 0;
    for name in &words.operands {
        let outcome = if name == "-" { standard(check) } else { file(Path::new(name), check) };
        match outcome {
            Ok(true) => {}
            Ok(false) => code = 1,
            Err(text) => {
                say(&text);
                code = 1;
            }
        }
    }
    Ok(code)
}

fn standard(check: bool) -> Result<bool, String> {
    let text = stdin()?;
    let styled = styled("standard input", &text)?;
    if !check {
        print(&styled);
        return Ok(true);
    }
    if styled != text {
        print(b"standard input\n");
    }
    Ok(styled == text)
}

/// Whether the file is in style now. One that is in style already is not written.
fn file(path: &Path, check: bool) -> Result<bool, String> {
    let name = path.display();
    let text = std::fs::read(path).map_err(|e| format!("{name}: {}", sys::err_text(&e)))?;
    let styled = styled(&name.to_string(), &text)?;
    if styled == text {
        return Ok(true);
    }
    if check {
        print(format!("{name}\n").as_bytes());
        return Ok(false);
    }
    replace(path, &text, &styled).map_err(|e| format!("{name}: {e}"))?;
    Ok(true)
}

fn styled(name: &str, text: &[u8]) -> Result<Vec<u8>, String> {
    if u32::try_from(text.len()).is_err() {
        return Err(format!("{name}: too large"));
    }
    let mut map = SourceMap::new();
    let file = map.add(name.to_owned(), text.into(), None);
    let mut diags = Diags::new();
    let tree = syntax::parse(&map, file, &mut diags);
    if diags.fatal() {
        for diag in diags.iter() {
            sys::write_stderr(format!("{}\n", render_long(&map, diag)).as_bytes());
        }
        return Err(format!("{name}: not formatted, it has errors"));
    }
    let same = "not formatted, it would not be read as the same words; this is a fault of tenrec";
    syntax::format(&map, &tree).ok_or_else(|| format!("{name}: {same}"))
}
