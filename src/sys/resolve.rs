//! Host names, looked up as nginx does when it starts.

use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

/// The addresses of a host, in the resolver's order; `None` when there are none. Families that the machine has no
/// address of are left out (`AI_ADDRCONFIG`).
#[expect(unsafe_code, reason = "getaddrinfo")]
pub fn resolve(host: &[u8]) -> Option<Vec<IpAddr>> {
    let host = CString::new(host).ok()?;
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_family = libc::AF_UNSPEC;
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_flags = libc::AI_ADDRCONFIG;
    let mut list: *mut libc::addrinfo = ptr::null_mut();
    // SAFETY: the host is a C string, the hints are initialised, and the list is freed below.
    if unsafe { libc::getaddrinfo(host.as_ptr(), ptr::null(), &raw const hints, &raw mut list) } != 0 {
        return None;
    }
    let mut addrs = Vec::new();
    let mut next = list;
    while !next.is_null() {
        // SAFETY: a node of the list that getaddrinfo gave; its address has the size of its family.
        let node = unsafe { &*next };
        match node.ai_family {
            libc::AF_INET => {
                let sin = unsafe { &*node.ai_addr.cast::<libc::sockaddr_in>() };
                addrs.push(IpAddr::V4(Ipv4Addr::from(u32::from_be(sin.sin_addr.s_addr))));
            }
            libc::AF_INET6 => {
                let sin6 = unsafe { &*node.ai_addr.cast::<libc::sockaddr_in6>() };
                addrs.push(IpAddr::V6(Ipv6Addr::from(sin6.sin6_addr.s6_addr)));
            }
            _ => {}
        }
        next = node.ai_next;
    }
    // SAFETY: the list came from getaddrinfo and is not used after this.
    unsafe { libc::freeaddrinfo(list) };
    (!addrs.is_empty()).then_some(addrs)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_number_is_its_own_address_and_nonsense_is_none() {
        assert_eq!(super::resolve(b"127.0.0.1"), Some(vec![std::net::IpAddr::from([127, 0, 0, 1])]));
        assert_eq!(super::resolve(b"no such host"), None);
    }
}
