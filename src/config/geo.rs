//! `geo`: a table from addresses to values.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Cx;
use super::cx::show;
use super::text::Text;
use crate::plan::Who;
use crate::source::Dir;
use crate::values::{self, Cidr};

/// A `geo` block. Numbers are indices into `values`.
#[derive(Debug, Clone, Default)]
pub struct Geo {
    /// `None`: the client's address.
    pub of: Option<Text>,
    pub networks: Vec<(Cidr, u32)>,
    /// Where each network is in `networks`.
    places: HashMap<(IpAddr, u8), usize>,
    pub values: Vec<Box<[u8]>>,
    pub proxies: Vec<Who>,
    pub recursive: bool,
    pub volatile: bool,
}

impl Geo {
    pub(super) fn read(cx: &mut Cx<'_>, block: Dir<'_>, of: Option<Text>) -> Self {
        let mut geo = Self { of, ..Self::default() };
        let mut known = HashMap::new();
        for d in block.children() {
            let key = &d.node().name.value[..];
            match (key, d.args()) {
                (b"ranges", []) => cx.emerg(d, "\"ranges\" of \"geo\" is not supported by tenrec yet"),
                (b"proxy_recursive", []) => geo.recursive = true,
                (b"volatile", []) => geo.volatile = true,
                (b"proxy", [network]) => geo.proxies.extend(cidr(cx, d, &network.value).map(Who::Network)),
                (b"delete", [network]) => geo.delete(cx, d, &network.value),
                (b"default", [value]) => {
                    let value = geo.value(&mut known, &value.value);
                    for all in ["0.0.0.0/0", "::/0"] {
                        let all = values::cidr(all.as_bytes()).expect("a network");
                        geo.add(cx, d, all, value, key);
                    }
                }
                (_, [value]) => {
                    let Some(network) = cidr(cx, d, key) else { continue };
                    let value = geo.value(&mut known, &value.value);
                    geo.add(cx, d, network, value, key);
                }
                _ => cx.emerg(d, "invalid number of the geo parameters"),
            }
        }
        geo
    }

    fn value(&mut self, known: &mut HashMap<Box<[u8]>, u32>, text: &[u8]) -> u32 {
        *known.entry(text.into()).or_insert_with(|| {
            self.values.push(text.into());
            self.values.len() as u32 - 1
        })
    }

    fn add(&mut self, cx: &mut Cx<'_>, d: Dir<'_>, network: Cidr, value: u32, text: &[u8]) {
        let places = self.networks.len();
        let at = *self.places.entry((network.network, network.bits)).or_insert(places);
        let Some((_, old)) = self.networks.get_mut(at) else { return self.networks.push((network, value)) };
        let old = std::mem::replace(old, value);
        let shown = |ix: u32| self.values.get(ix as usize).map(|v| show(v).into_owned()).unwrap_or_default();
        let (text, new, old) = (show(text), shown(value), shown(old));
        cx.warn(d, format!("duplicate network \"{text}\", value: \"{new}\", old value: \"{old}\""));
    }

    fn delete(&mut self, cx: &mut Cx<'_>, d: Dir<'_>, text: &[u8]) {
        let Some(network) = cidr(cx, d, text) else { return };
        let Some(at) = self.places.remove(&(network.network, network.bits)) else {
            return cx.warn(d, format!("no network \"{}\" to delete", show(text)));
        };
        self.networks.swap_remove(at);
        // The last one has its place now.
        if let Some((moved, _)) = self.networks.get(at) {
            self.places.insert((moved.network, moved.bits), at);
        }
    }
}

fn cidr(cx: &mut Cx<'_>, d: Dir<'_>, text: &[u8]) -> Option<Cidr> {
    // Its text is inet_addr's word for an error.
    let broadcast = IpAddr::from([255; 4]);
    let network = match text {
        b"255.255.255.255" => Some(Cidr { network: broadcast, bits: 32, low_bits: false }),
        _ => values::cidr(text),
    };
    match network {
        None => cx.emerg(d, format!("invalid network \"{}\"", show(text))),
        Some(n) if n.low_bits => {
            cx.warn(d, format!("low address bits of {} are meaningless", show(text)));
        }
        Some(_) => {}
    }
    network
}
