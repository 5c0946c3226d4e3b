//! What `check_status` shows, byte for byte as Tengine writes it.

use std::fmt::Write as _;

use crate::plan::StatusFormat;

/// The whole of it.
#[derive(Debug, Clone, Default)]
pub struct Page<'a> {
    /// How often the configuration was read since the start, the first time included.
    pub generation: u64,
    pub rows: Vec<Row<'a>>,
}

/// A peer.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its place among all that are checked, from 0.
    pub index: usize,
    pub upstream: &'a str,
    pub name: &'a str,
    pub down: bool,
    pub rise: u32,
    pub fall: u32,
    pub kind: &'a str,
    pub port: u16,
}

impl Page<'_> {
    /// The media type of a format.
    pub fn content_type(format: StatusFormat) -> &'static str {
        match format {
            StatusFormat::Html => "text/html",
            StatusFormat::Csv | StatusFormat::Prometheus => "text/plain",
            StatusFormat::Json => "application/json",
        }
    }

    pub fn write(&self, format: StatusFormat) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = match format {
            StatusFormat::Html => self.html(&mut out),
            StatusFormat::Csv => self.csv(&mut out),
            StatusFormat::Json => self.json(&mut out),
            StatusFormat::Prometheus => self.prometheus(&mut out),
        };
        out
    }

    fn down(&self) -> usize {
        self.rows.iter().filter(|r| r.down).count()
    }

    fn html(&self, out: &mut String) -> std::fmt::Result {
        write!(
            out,
            "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\n\
             \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\">\n\
             <html xmlns=\"http://www.w3.org/1999/xhtml\">\n\
             <head>\n\
             \x20 <title>Nginx http upstream check status</title>\n\
             </head>\n\
             <body>\n\
             <h1>Nginx http upstream check status</h1>\n\
             <h2>Check upstream server number: {}, generation: {}</h2>\n\
             <table style=\"background-color:white\" cellspacing=\"0\"        cellpadding=\"3\" border=\"1\">\n\
             \x20 <tr bgcolor=\"#C0C0C0\">\n",
            self.rows.len(),
            self.generation
        )?;
        for name in
            ["Index", "Upstream", "Name", "Status", "Rise counts", "Fall counts", "Check type", "Check port"]
        {
            writeln!(out, "    <th>{name}</th>")?;
        }
        out.push_str("  </tr>\n");
        for r in &self.rows {
            let color = if r.down { " bgcolor=\"#FF0000\"" } else { "" };
            writeln!(out, "  <tr{color}>")?;
            writeln!(out, "    <td>{}</td>", r.index)?;
            for text in [r.upstream, r.name, r.status()] {
                writeln!(out, "    <td>{}</td>", escaped(text, Escape::Html))?;
            }
            for number in [r.rise, r.fall] {
                writeln!(out, "    <td>{number}</td>")?;
            }
            writeln!(out, "    <td>{}</td>\n    <td>{}</td>\n  </tr>", r.kind, r.port)?;
        }
        out.push_str("</table>\n</body>\n</html>\n");
        Ok(())
    }

    fn csv(&self, out: &mut String) -> std::fmt::Result {
        for r in &self.rows {
            let (status, kind) = (r.status(), r.kind);
            writeln!(
                out,
                "{},{},{},{status},{},{},{kind},{}",
                r.index, r.upstream, r.name, r.rise, r.fall, r.port
            )?;
        }
        Ok(())
    }

    fn json(&self, out: &mut String) -> std::fmt::Result {
        let (total, down) = (self.rows.len(), self.down());
        write!(
            out,
            "{{\"servers\": {{\n  \"total\": {total},\n  \"up\": {},\n  \"down\": {down},\n  \"generation\": {},\n  \
             \"server\": [\n",
            total - down,
            self.generation
        )?;
        for (i, r) in self.rows.iter().enumerate() {
            writeln!(
                out,
                "    {{\"index\": {}, \"upstream\": \"{}\", \"name\": \"{}\", \"status\": \"{}\", \"rise\": {}, \
                 \"fall\": {}, \"type\": \"{}\", \"port\": {}}}{}",
                r.index,
                escaped(r.upstream, Escape::Quoted),
                escaped(r.name, Escape::Quoted),
                r.status(),
                r.rise,
                r.fall,
                r.kind,
                r.port,
                if i + 1 == total { "" } else { "," }
            )?;
        }
        out.push_str("  ]\n}}\n");
        Ok(())
    }

    fn prometheus(&self, out: &mut String) -> std::fmt::Result {
        let (total, down) = (self.rows.len() as u64, self.down() as u64);
        for (name, help, value) in [
            ("total", "total number of servers", total),
            ("up", "total number of servers that are UP", total - down),
            ("down", "total number of servers that are DOWN", down),
            ("generation", "generation", self.generation),
        ] {
            write!(
                out,
                "# HELP nginx_upstream_count_{name} Nginx {help}\n# TYPE nginx_upstream_count_{name} gauge\n\
                 nginx_upstream_count_{name} {value}\n"
            )?;
        }
        for (name, kind, help) in [
            ("rise", "counter", "rise counter"),
            ("fall", "counter", "fall counter"),
            ("active", "gauge", "active 1 for UP / 0 for DOWN"),
        ] {
            write!(
                out,
                "# HELP nginx_upstream_server_{name} Nginx {help}\n# TYPE nginx_upstream_server_{name} {kind}\n"
            )?;
            for r in &self.rows {
                let status = match name {
                    "active" => String::new(),
                    _ => format!("status=\"{}\",", r.status()),
                };
                let value = match name {
                    "rise" => r.rise,
                    "fall" => r.fall,
                    _ => u32::from(!r.down),
                };
                writeln!(
                    out,
                    "nginx_upstream_server_{name}{{index=\"{}\",upstream=\"{}\",name=\"{}\",{status}type=\"{}\",\
                     port=\"{}\"}} {value}",
                    r.index,
                    escaped(r.upstream, Escape::Quoted),
                    escaped(r.name, Escape::Quoted),
                    r.kind,
                    r.port
                )?;
            }
        }
        Ok(())
    }
}

impl Row<'_> {
    fn status(&self) -> &'static str {
        if self.down { "down" } else { "up" }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    Html,
    /// JSON and Prometheus agree on what names can have.
    Quoted,
}

/// A name as it may stand in the format; Tengine writes it as it is.
fn escaped(text: &str, how: Escape) -> std::borrow::Cow<'_, str> {
    let special = |c: char| match how {
        Escape::Html => matches!(c, '<' | '>' | '&' | '"'),
        Escape::Quoted => matches!(c, '"' | '\\') || c.is_control(),
    };
    if !text.contains(special) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match (how, c) {
            (_, c) if !special(c) => out.push(c),
            (Escape::Html, c) => out.push_str(match c {
                '<' => "&lt;",
                '>' => "&gt;",
                '&' => "&amp;",
                _ => "&quot;",
            }),
            (Escape::Quoted, '"' | '\\') => out.extend(['\\', c]),
            (Escape::Quoted, c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
        }
    }
    out.into()
}
