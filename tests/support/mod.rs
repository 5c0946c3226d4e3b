//! What every behaviour test stands on.
