//! From the name of a file to the whole configuration.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Conf;
use super::multiply;
use super::read::read;
use crate::diag::{Diag, Diags, FileId, Span};
use crate::syntax::{Body, NodeId, parse};
use crate::sys;
use crate::values::c_text;

/// Reads the main file and all that it includes. `main` and the files of `include` are as given: a relative `main`
/// belongs to `prefix`, a relative include to the directory of `main`. `globals` is the text of `-g`, which nginx reads
/// first. Diagnostics come in reading order, so that nginx's own is the first of them.
pub fn load(main: &Path, prefix: &Path, globals: Option<&str>, diags: &mut Diags) -> Conf {
    let main = full_name(prefix, main.as_os_str().as_bytes());
    let folder = main.parent().map(Path::to_path_buf).unwrap_or_default();
    load_given(&main, folder, globals, HashMap::new(), diags)
}

/// The same with the texts of some files at hand, by their full names. Relative includes belong to `folder`.
pub fn load_given(
    main: &Path,
    folder: PathBuf,
    globals: Option<&str>,
    given: HashMap<PathBuf, Vec<u8>>,
    diags: &mut Diags,
) -> Conf {
    load_with(main, folder, globals, Given { texts: given, sealed: None }, diags)
}

/// The same with nothing read from the disk: no file but those of `given`, no pattern but those of `globs`.
pub(super) fn load_sealed(
    main: &Path,
    folder: PathBuf,
    globals: Option<&str>,
    given: HashMap<PathBuf, Vec<u8>>,
    globs: HashMap<PathBuf, Vec<PathBuf>>,
    diags: &mut Diags,
) -> Conf {
    load_with(main, folder, globals, Given { texts: given, sealed: Some(globs) }, diags)
}

fn load_with(main: &Path, folder: PathBuf, globals: Option<&str>, given: Given, diags: &mut Diags) -> Conf {
    let mut loader = Loader {
        conf: Conf { folder: folder.clone(), ..Conf::default() },
        conf_prefix: folder,
        diags: Diags::new(),
        known: HashMap::new(),
        given,
    };
    if let Some(text) = globals.filter(|text| !text.is_empty()) {
        let file = loader.conf.map.add_command_line(text);
        loader.parse(file);
        loader.conf.roots.push(file);
        loader.follow(file);
    }
    if let Some(file) = loader.file(main, None, None) {
        loader.conf.main_file = Some(file);
        loader.conf.roots.push(file);
        loader.follow(file);
    }
    let Loader { mut conf, diags: mut found, .. } = loader;
    found.extend(multiply::bound(&mut conf));
    let order = conf.reading_order();
    found.sort_by_place(|file, offset| order.rank(file, offset));
    diags.extend(found);
    conf
}

/// A name of a configuration against a directory: nginx puts the two together as texts.
pub fn full_name(prefix: &Path, name: &[u8]) -> PathBuf {
    if name.first() == Some(&b'/') {
        return PathBuf::from(OsStr::from_bytes(name));
    }
    let mut full = prefix.as_os_str().as_bytes().to_vec();
    if full.last().is_some_and(|&b| b != b'/') {
        full.push(b'/');
    }
    full.extend_from_slice(name);
    PathBuf::from(OsStr::from_bytes(&full))
}

struct Loader {
    conf: Conf,
    /// The directory of the main file.
    conf_prefix: PathBuf,
    diags: Diags,
    /// What was read, by full name: a file that is included again is not read again.
    known: HashMap<PathBuf, FileId>,
    given: Given,
}

/// What is not read from disk.
struct Given {
    texts: HashMap<PathBuf, Vec<u8>>,
    /// `Some`: nothing is, and these are the files of each pattern.
    sealed: Option<HashMap<PathBuf, Vec<PathBuf>>>,
}

impl Given {
    fn text(&mut self, path: &Path) -> Result<Vec<u8>, Diag> {
        match self.texts.remove(path) {
            Some(text) => Ok(text),
            None if self.sealed.is_some() => {
                Err(Diag::emerg("open-failed", format!("\"{}\" was not recorded", path.display())))
            }
            None => read(path),
        }
    }

    fn glob(&self, pattern: &Path) -> std::io::Result<Vec<PathBuf>> {
        match &self.sealed {
            Some(globs) => Ok(globs.get(pattern).cloned().unwrap_or_default()),
            None => sys::glob(pattern.as_os_str().as_bytes()),
        }
    }
}

/// A file whose includes are being followed.
struct Frame {
    file: FileId,
    /// Its includes that are not followed yet, the next one last.
    todo: Vec<NodeId>,
    /// What the include at hand brings and is not followed yet, the next one last.
    files: Vec<PathBuf>,
    at_hand: NodeId,
}

impl Loader {
    /// Follows the includes of a file, depth first: the order in which nginx reads. No recursion: a chain may be long.
    fn follow(&mut self, root: FileId) {
        let mut stack = vec![self.frame(root)];
        while let Some(frame) = stack.last_mut() {
            let file = frame.file;
            if let Some(path) = frame.files.pop() {
                let (id, span, at) =
                    (frame.at_hand, self.span(file, frame.at_hand), self.at(file, frame.at_hand));
                let first = !self.known.contains_key(&path);
                let Some(brought) = self.file(&path, Some(span), Some(at)) else { continue };
                if stack.iter().any(|f| f.file == brought) {
                    self.cycle(&stack, brought, span, at);
                    continue;
                }
                self.conf.includes.entry((file, id)).or_default().push(brought);
                if first {
                    stack.push(self.frame(brought));
                }
            } else if let Some(id) = frame.todo.pop() {
                frame.at_hand = id;
                self.conf.includes.insert((file, id), Vec::new());
                let files = self.resolve(file, id);
                if let Some(frame) = stack.last_mut() {
                    frame.files = files;
                }
            } else {
                stack.pop();
            }
        }
    }

    fn frame(&self, file: FileId) -> Frame {
        let nodes = self.conf.trees.get(file.0 as usize).map_or(&[][..], |tree| &tree.nodes);
        let includes = nodes.iter().enumerate().filter(|(_, node)| {
            *node.name.value == *b"include" && node.args.len() == 1 && matches!(node.body, Body::None)
        });
        let mut todo: Vec<NodeId> = includes.map(|(i, _)| NodeId(i as u32)).collect();
        todo.reverse();
        Frame { file, todo, files: Vec::new(), at_hand: NodeId(0) }
    }

    /// The files that an include names, the first one last.
    fn resolve(&mut self, file: FileId, id: NodeId) -> Vec<PathBuf> {
        let node = self.conf.trees.get(file.0 as usize).map(|tree| tree.node(id));
        let name = node.and_then(|node| node.args.first()).map_or(&b""[..], |word| &word.value);
        // To the system a name ends at its first zero.
        let name = c_text(name);
        let full = full_name(&self.conf_prefix, name);
        let pattern = full.as_os_str().as_bytes();
        if !pattern.iter().any(|b| matches!(b, b'*' | b'?' | b'[')) {
            return vec![full];
        }
        match self.given.glob(&full) {
            Ok(mut files) => {
                self.conf.globs.insert(full, files.clone());
                files.reverse();
                files
            }
            Err(e) => {
                let message = format!("glob() \"{}\" failed ({})", full.display(), sys::err_text(&e));
                let (span, at) = (self.span(file, id), self.at(file, id));
                self.diags.push(Diag::emerg("glob-failed", message).with_span(span).with_at(at));
                Vec::new()
            }
        }
    }

    /// The file of a name, read and parsed when it is met for the first time.
    fn file(&mut self, path: &Path, span: Option<Span>, at: Option<(FileId, u32)>) -> Option<FileId> {
        if let Some(&file) = self.known.get(path) {
            return Some(file);
        }
        match self.given.text(path) {
            Ok(text) => {
                let file = self.conf.map.add(path.to_string_lossy().into_owned(), text.into(), span);
                self.known.insert(path.to_path_buf(), file);
                self.parse(file);
                Some(file)
            }
            Err(mut diag) => {
                diag.span = span;
                diag.at = at.filter(|_| diag.code != "read-failed");
                self.diags.push(diag);
                None
            }
        }
    }

    fn parse(&mut self, file: FileId) {
        let tree = parse(&self.conf.map, file, &mut self.diags);
        debug_assert_eq!(self.conf.trees.len(), file.0 as usize, "a tree for each file, in order");
        self.conf.trees.push(tree);
    }

    fn cycle(&mut self, stack: &[Frame], again: FileId, span: Span, at: (FileId, u32)) {
        let chain = stack.iter().map(|frame| frame.file).skip_while(|&file| file != again).chain([again]);
        let names: Vec<&str> = chain.map(|file| self.conf.map.file(file).name.as_str()).collect();
        let message = match &names[..] {
            [name, _] => format!("\"{name}\" includes itself"),
            names => format!("include cycle: {}", names.join(" -> ")),
        };
        self.diags.push(Diag::emerg("include-cycle", message).with_span(span).with_at(at));
    }

    fn span(&self, file: FileId, id: NodeId) -> Span {
        let node = self.conf.trees[file.0 as usize].node(id);
        node.args.first().map_or(node.span, |word| word.span)
    }

    fn at(&self, file: FileId, id: NodeId) -> (FileId, u32) {
        (file, self.conf.trees[file.0 as usize].node(id).span.end.saturating_sub(1))
    }
}
