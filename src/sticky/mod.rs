//! Room sticky.
