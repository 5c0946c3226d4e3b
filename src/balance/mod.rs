//! Room balance.
