//! The ring of `hash KEY consistent`, point for point nginx's (which took it from Cache::Memcached::Fast).

use crate::plan::Peer;

/// Points for each unit of weight.
const POINTS: u32 = 160;

#[derive(Debug)]
pub(super) struct Ring {
    /// Sorted by hash, no hash twice; the second is an index into `servers`.
    points: Box<[(u32, u32)]>,
    /// The peers of each `server` argument: several addresses of one name share its points.
    servers: Box<[Box<[usize]>]>,
}

impl Ring {
    /// `peers` are the primary ones.
    pub(super) fn new(peers: &[Peer]) -> Self {
        let mut names: Vec<&str> = Vec::new();
        let mut servers: Vec<Vec<usize>> = Vec::new();
        let mut points = Vec::new();
        for (i, peer) in peers.iter().enumerate() {
            let at = names.iter().position(|n| *n == &*peer.server).unwrap_or_else(|| {
                names.push(&peer.server);
                servers.push(Vec::new());
                names.len() - 1
            });
            servers[at].push(i);
            let (host, port) = split(peer.server.as_bytes());
            let mut base = crc32fast::Hasher::new();
            base.update(host);
            base.update(&[0]);
            base.update(port);
            let mut before = 0u32;
            for _ in 0..peer.weight.saturating_mul(POINTS) {
                let mut hasher = base.clone();
                hasher.update(&before.to_le_bytes());
                before = hasher.finalize();
                points.push((before, at as u32));
            }
        }
        // nginx sorts with a stable insertion sort, so the first of equal hashes stays.
        points.sort_by_key(|p| p.0);
        points.dedup_by_key(|p| p.0);
        Self { points: points.into(), servers: servers.into_iter().map(Into::into).collect() }
    }

    /// Where the search for `key` begins: the first point not below its hash; past the last one it wraps.
    pub(super) fn find(&self, key: &[u8]) -> u32 {
        let hash = crc32fast::hash(key);
        self.points.partition_point(|p| p.0 < hash) as u32
    }

    /// The peers whose point it is.
    pub(super) fn at(&self, point: u32) -> &[usize] {
        let ix = (point as usize).checked_rem(self.points.len()).unwrap_or(0);
        self.points.get(ix).and_then(|p| self.servers.get(p.1 as usize)).map_or(&[], |s| s)
    }
}

/// Host and port of a `server` argument: the port is what follows the last `:` when that is digits only.
fn split(server: &[u8]) -> (&[u8], &[u8]) {
    if let Some((unix, path)) = server.split_at_checked(5)
        && unix.eq_ignore_ascii_case(b"unix:")
    {
        return (path, b"");
    }
    match server.iter().rposition(|b| !b.is_ascii_digit()) {
        Some(i) if server[i] == b':' => (&server[..i], &server[i + 1..]),
        _ => (server, b""),
    }
}
