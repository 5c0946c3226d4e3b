//! Times, addresses and texts with samples.

/// A time in milliseconds; `unit` is the milliseconds of a number without a unit.
pub(super) fn time(text: &str, unit: u64) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text.get(..end)?.parse().ok()?;
    let unit = match text.get(end..)? {
        "" => unit,
        "us" => return Some(number.div_ceil(1000)),
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// nginx's way to write milliseconds.
pub(super) fn shown(ms: u64) -> String {
    if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") }
}

/// Seconds, rounded up.
pub(super) fn seconds(ms: u64) -> u64 {
    ms.div_ceil(1000)
}

/// A server's address as nginx writes it. The error is why there is none.
pub(super) fn server(text: &str) -> Result<String, &'static str> {
    if let Some(path) = text.strip_prefix("unix@").or(text.starts_with('/').then_some(text)) {
        return if path.contains([' ', ':', '$']) {
            Err("such a path cannot be written")
        } else {
            Ok(format!("unix:{path}"))
        };
    }
    let text = text.strip_prefix("ipv4@").or_else(|| text.strip_prefix("ipv6@")).unwrap_or(text);
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err("without a port HAProxy takes the client's; name one");
    };
    if port.starts_with(['+', '-']) {
        return Err("a port relative to the client's cannot be written");
    }
    if port.parse::<u16>().is_ok_and(|p| p > 0) && name(host) {
        if host.contains(':') && !host.starts_with('[') {
            return Ok(format!("[{host}]:{port}"));
        }
        return Ok(format!("{host}:{port}"));
    }
    Err("this is no address")
}

fn name(host: &str) -> bool {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    !host.is_empty() && host != "*" && host.chars().all(fit)
}

/// The addresses of a `bind` as `listen` takes them.
pub(super) fn bind(text: &str) -> Option<Vec<String>> {
    text.split(',').map(one_bind).collect()
}

fn one_bind(text: &str) -> Option<String> {
    let text = text.strip_prefix("ipv4@").or_else(|| text.strip_prefix("ipv6@")).unwrap_or(text);
    if let Some(path) = text.strip_prefix("unix@").or(text.starts_with('/').then_some(text)) {
        return (!path.contains([' ', ':', '$'])).then(|| format!("unix:{path}"));
    }
    let (host, port) = text.rsplit_once(':')?;
    if !port.parse::<u16>().is_ok_and(|p| p > 0) {
        return None;
    }
    match host {
        "" | "*" | "0.0.0.0" => Some(port.to_owned()),
        "::" | "[::]" => Some(format!("[::]:{port}")),
        host if !name(host) => None,
        host if host.contains(':') && !host.starts_with('[') => Some(format!("[{host}]:{port}")),
        host => Some(format!("{host}:{port}")),
    }
}

/// A text with `%[sample]` and `%variables` as one with nginx's variables.
pub(super) fn format(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['%', '$']) {
        out.push_str(rest.get(..at)?);
        rest = rest.get(at..)?;
        if let Some(after) = rest.strip_prefix("%%") {
            out.push('%');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("%[") {
            let (inside, after) = after.split_once(']')?;
            let name = match inside.split_once("),") {
                // The host is without its port and in small letters anyway.
                Some(("hdr(host" | "req.hdr(host" | "hdr(Host" | "req.hdr(Host", then)) => {
                    let steps = ["lower", "field(1,:)", "host_only", "field(1,:),lower", "lower,field(1,:)"];
                    steps.contains(&then).then(|| "$host".to_owned())?
                }
                _ => sample(inside)?,
            };
            // Braces: what follows may look like a part of the name.
            out.push_str(&format!("${{{}}}", name.strip_prefix('$')?));
            rest = after;
        } else {
            let (name, variable) =
                [("%ci", "${remote_addr}"), ("%cp", "${remote_port}"), ("%ID", "${request_id}"), ("%hr", "")]
                    .into_iter()
                    .find(|(name, variable)| rest.starts_with(name) && !variable.is_empty())?;
            out.push_str(variable);
            rest = rest.get(name.len()..)?;
        }
    }
    out.push_str(rest);
    (!out.contains(['\n', '\r'])).then_some(out)
}

/// The variable of a sample of the request.
pub(super) fn sample(text: &str) -> Option<String> {
    let (name, argument) = match text.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')')?),
        None => (text, ""),
    };
    let argument = argument.trim();
    let token = |argument: &str| {
        let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (!argument.is_empty() && argument.chars().all(fit)).then(|| argument.to_owned())
    };
    Some(match name {
        "src" => "$remote_addr".to_owned(),
        "src_port" => "$remote_port".to_owned(),
        "dst" => "$server_addr".to_owned(),
        "dst_port" => "$server_port".to_owned(),
        "hdr" | "req.hdr" | "req.fhdr" | "hdr_ip" => {
            format!("$http_{}", token(argument)?.to_ascii_lowercase().replace('-', "_"))
        }
        "cookie" | "req.cook" | "req.cookie" => {
            format!("$cookie_{}", token(argument).filter(|t| !t.contains('-'))?)
        }
        "urlp" | "url_param" => format!("$arg_{}", token(argument).filter(|t| !t.contains('-'))?),
        "ssl_fc_sni" => "$ssl_server_name".to_owned(),
        "ssl_fc_protocol" => "$ssl_protocol".to_owned(),
        "ssl_fc_cipher" => "$ssl_cipher".to_owned(),
        // As OpenSSL wrote it of old, which HAProxy still does.
        "ssl_c_s_dn" if argument.is_empty() => "$ssl_client_s_dn_legacy".to_owned(),
        "ssl_c_i_dn" if argument.is_empty() => "$ssl_client_i_dn_legacy".to_owned(),
        "hostname" => "$hostname".to_owned(),
        "path" => "$uri".to_owned(),
        "url" | "capture.req.uri" | "pathq" => "$request_uri".to_owned(),
        "query" => "$args".to_owned(),
        "method" => "$request_method".to_owned(),
        "unique-id" => "$request_id".to_owned(),
        _ => return None,
    })
}
