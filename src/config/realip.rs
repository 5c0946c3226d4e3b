//! `set_real_ip_from`, `real_ip_header`, `real_ip_recursive`: whose word on the client's address is taken.

use std::net::IpAddr;

use super::cx::show;
use super::family::family;
use super::{Cx, set};
use crate::plan::{RealIpField, Who};
use crate::source::Dir;
use crate::values::{self, Cidr};

family! {
    /// `ngx_http_realip_module`
    pub struct RealIp {
        /// The proxies that are trusted.
        "set_real_ip_from" => from: Vec<Who> = from, Vec::new();
        "real_ip_header" => field: RealIpField = field, RealIpField::Named((*b"x-real-ip").into());
        /// Trusted addresses in the field are passed over.
        "real_ip_recursive" => recursive: bool = set::flag, false;
    }
}

fn from(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<Vec<Who>>) {
    let text = d.arg(0);
    let list = slot.get_or_insert_default();
    if text == b"unix:" {
        list.push(Who::Unix);
    } else if let Some(network) = values::cidr(text) {
        if network.low_bits {
            cx.warn(d, format!("low address bits of {} are meaningless", show(text)));
        }
        list.push(Who::Network(network));
    } else if let Some(addrs) = crate::sys::resolve(text) {
        list.extend(addrs.into_iter().map(|ip| Who::Network(single(ip))));
    } else {
        cx.emerg(d, format!("host not found in set_real_ip_from \"{}\"", show(text)));
    }
}

fn single(ip: IpAddr) -> Cidr {
    Cidr { network: ip, bits: if ip.is_ipv4() { 32 } else { 128 }, low_bits: false }
}

fn field(cx: &mut Cx<'_>, d: Dir<'_>, slot: &mut Option<RealIpField>) {
    if slot.is_some() {
        return cx.says(d, "is duplicate");
    }
    *slot = Some(match d.arg(0) {
        b"X-Forwarded-For" => RealIpField::Forwarded,
        b"proxy_protocol" => RealIpField::ProxyProtocol,
        name => RealIpField::Named(name.to_ascii_lowercase().into()),
    });
}
