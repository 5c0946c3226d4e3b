//! Room values.
