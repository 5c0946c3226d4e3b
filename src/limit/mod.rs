//! Owns: how often and how many at once: the counters of `limit_req` and `limit_conn`, shared by threads and processes.
//! May use: values, sys, plan (the zones that it names).
//! Never touches: the clock, requests, the configuration's text.

mod bucket;
mod zone;
mod zones;

pub use zone::{Excess, Full, Zone};
pub use zones::{NoZone, Zones};

#[cfg(test)]
mod tests;
