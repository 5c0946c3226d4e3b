//! Messages, rounds, the cache. What happens on sockets is in `tests/resolver.rs`.

mod messages;
