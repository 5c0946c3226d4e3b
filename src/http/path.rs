//! From a request's path to a file's.

use super::Request;
use super::context::Bytes;
use crate::diag::Severity;
use crate::plan::Root;
use crate::vars;

/// Appends the file that `uri` names below `root` or `alias`; gives how many bytes of it are the root. `None`: an
/// alias of another location's path (the path was changed since it was chosen).
pub(super) fn map(req: &Request, uri: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    if !req.valid_location && matches!(req.location().root, Root::Alias { .. }) {
        req.thread.log_error(
            req,
            Severity::Alert,
            format_args!(
                "\"alias\" cannot be used in location \"{}\" where URI was rewritten",
                Bytes(&req.location().name)
            ),
        );
        return None;
    }
    match &req.location().root {
        Root::Root(path) => {
            vars::eval(path, req, out);
            let root = out.len();
            out.extend_from_slice(uri);
            Some(root)
        }
        Root::Alias { path, replaces: Some(n) } => {
            let rest = uri.get(*n..)?;
            vars::eval(path, req, out);
            let root = out.len();
            out.extend_from_slice(rest);
            Some(root)
        }
        Root::Alias { path, replaces: None } => {
            vars::eval(path, req, out);
            let root = out.len();
            if req.add_uri_to_alias {
                out.extend_from_slice(uri);
            }
            Some(root)
        }
    }
}
