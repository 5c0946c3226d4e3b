//! Room log.
