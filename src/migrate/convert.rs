//! From the input to the output and its report.

use std::path::Path;

use super::can::Can;
use super::input::{Input, Place, Problem};
use super::model::{Line, Model};
use super::report::{Report, Row};
use super::writer::Text;
use super::{cloud, f5, fgw, haproxy, ingress, nginx, verify, writer};

/// The systems whose files are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Aliyun,
    F5,
    Fgw,
    Haproxy,
    IngressNginx,
    Plus,
    StickyNg,
    Tencent,
}

impl Dialect {
    pub const ALL: &[(&str, Dialect)] = &[
        ("haproxy", Dialect::Haproxy),
        ("fgw", Dialect::Fgw),
        ("sticky-ng", Dialect::StickyNg),
        ("plus", Dialect::Plus),
        ("ingress-nginx", Dialect::IngressNginx),
        ("aliyun", Dialect::Aliyun),
        ("tencent", Dialect::Tencent),
        ("f5", Dialect::F5),
    ];

    /// The dialect of a word of `--from`.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, d)| *d)
    }
}

/// What whoever converts asks for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The `store=` of tables that the old system shared among machines: a URL of Redis or Valkey.
    pub store: Option<String>,
    /// Rules on how much a client asks for are left out; otherwise they close what they guard.
    pub without_limits: bool,
    /// Reads a file that an input names (`-f` of HAProxy's conditions); without it such values are lost.
    pub read: Option<fn(&str) -> Option<String>>,
}

/// A configuration for tenrec and what became of the input.
#[derive(Debug)]
pub struct Converted {
    pub conf: String,
    pub report: Report,
}

/// Converts the files of one system. `prefix` is where relative names of the output will start from.
pub fn convert(dialect: Dialect, inputs: &[Input], can: Can, prefix: &Path) -> Result<Converted, Problem> {
    convert_as(dialect, inputs, can, prefix, &Asked::default())
}

/// Converts as somebody asks for it.
pub fn convert_as(
    dialect: Dialect,
    inputs: &[Input],
    can: Can,
    prefix: &Path,
    asked: &Asked,
) -> Result<Converted, Problem> {
    let mut report = Report::new(inputs);
    let r = &mut report;
    let mut text = match dialect {
        Dialect::Aliyun => written(cloud::aliyun(inputs, can, r)?, inputs, "Alibaba Cloud", r),
        Dialect::Tencent => written(cloud::tencent(inputs, can, r)?, inputs, "Tencent Cloud", r),
        Dialect::F5 => written(f5::convert(inputs, can, r)?, inputs, "BIG-IP", r),
        Dialect::Fgw => written(fgw::convert(inputs, can, r)?, inputs, "FGW", r),
        Dialect::Haproxy => written(haproxy::convert(inputs, can, asked, r)?, inputs, "HAProxy", r),
        Dialect::IngressNginx => written(ingress::convert(inputs, can, r)?, inputs, "ingress-nginx", r),
        Dialect::Plus => nginx::plus(inputs, can, r)?,
        Dialect::StickyNg => nginx::sticky_ng(inputs, can, r)?,
    };
    let start = Place { file: 0, line: 1, column: 1 };
    let refused = verify::settle(&mut text, prefix)
        .map_err(|why| Problem::new(inputs, start, format!("the result would not load: {why}")))?;
    refused.into_iter().for_each(|row| merge(&mut report.rows, row));
    report.rows.sort_by_key(|r| r.place);
    Ok(Converted { conf: text.join(), report })
}

/// What is Tengine's, sticky-module-ng's or tenrec's own, in the words of the open nginx 1.31.
pub fn to_nginx(inputs: &[Input], can: Can) -> Result<Converted, Problem> {
    let mut report = Report::new(inputs);
    let text = nginx::stock(inputs, can, &mut report)?;
    report.rows.sort_by_key(|r| r.place);
    Ok(Converted { conf: text.join(), report })
}

fn written(mut model: Model, inputs: &[Input], title: &str, report: &mut Report) -> Text {
    report.sessions = std::mem::take(&mut model.sessions);
    // What nginx does by itself and these systems do not.
    let unlike = [["access_log", "off"], ["client_max_body_size", "0"], ["proxy_redirect", "off"]];
    model.http.splice(0..0, unlike.map(|words| Line::new(None, words)));
    writer::write(&model, inputs, title)
}

/// A line that was refused after all: its row says so too.
fn merge(rows: &mut Vec<Row>, row: Row) {
    match rows.iter_mut().find(|r| r.place == row.place) {
        Some(old) => {
            old.class = old.class.max(row.class);
            if !old.note.contains(&row.note) {
                let glue = if old.note.is_empty() { "" } else { "; " };
                old.note = format!("{}{glue}{}", old.note, row.note);
            }
        }
        None => rows.push(row),
    }
}
