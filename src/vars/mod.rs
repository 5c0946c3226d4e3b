//! Room vars.
