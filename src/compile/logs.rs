//! Access logs: a file once, however often it is named.

use std::collections::HashMap;

use super::Builder;
use crate::config::{self, AccessLogs, LogTo};
use crate::plan::{AccessLog, LogFile, LogFileId, LogFormat, LogFormatId, LogTarget};

/// The files that requests are logged to.
#[derive(Debug, Default)]
pub struct Logs {
    pub files: Vec<LogFile>,
    by_target: HashMap<Box<[u8]>, LogFileId>,
}

impl Builder<'_> {
    /// The log formats.
    pub fn formats(&mut self) {
        for format in &self.http.formats.list {
            let template = self.names.template(&format.text);
            let name = config::show(&format.name).into();
            self.plan.log_formats.push(LogFormat { name, escape: format.escape, template });
        }
    }

    /// The `access_log`s that hold at a level; `None`: none was given, so nginx's own holds.
    pub fn access_logs(&mut self, logs: Option<&AccessLogs>) -> Vec<AccessLog> {
        let Some(logs) = logs else {
            let target = LogTarget::File(self.prefix.join("logs/access.log"));
            let file = self.log_file(target, None, None).unwrap_or(LogFileId(0));
            return vec![AccessLog { file, format: LogFormatId(0), condition: None }];
        };
        if logs.off {
            return Vec::new();
        }
        let mut list = Vec::with_capacity(logs.list.len());
        for log in &logs.list {
            let target = match &log.target {
                LogTo::File(path) => LogTarget::File(path.clone()),
                LogTo::Variable(text) => LogTarget::Variable(self.names.template(text)),
                LogTo::Syslog(server) => LogTarget::Syslog(server.to_string()),
            };
            let Some(file) = self.log_file(target, log.buffer, log.flush) else {
                let written = config::show(&log.written);
                let words = format!("access_log \"{written}\" already defined with conflicting parameters");
                self.found.emerg(log.at, "bad-value", words);
                continue;
            };
            let condition = log.condition.as_ref().map(|c| self.names.template(c));
            list.push(AccessLog { file, format: LogFormatId(log.format as u32), condition });
        }
        list
    }

    /// The file of a target; `None` when it is known with another buffer.
    fn log_file(
        &mut self,
        target: LogTarget,
        buffer: Option<usize>,
        flush: Option<std::time::Duration>,
    ) -> Option<LogFileId> {
        let key: Box<[u8]> = format!("{target:?}").into_bytes().into();
        if let Some(&id) = self.logs.by_target.get(&key) {
            let file = self.logs.files.get_mut(id.ix())?;
            if buffer.is_some() && file.buffer.is_some() && (file.buffer, file.flush) != (buffer, flush) {
                return None;
            }
            if buffer.is_some() {
                (file.buffer, file.flush) = (buffer, flush);
            }
            return Some(id);
        }
        let id = LogFileId(self.logs.files.len() as u32);
        self.logs.files.push(LogFile { target, buffer, flush });
        self.logs.by_target.insert(key, id);
        Some(id)
    }
}
