//! Configurations and what is said of them.

mod pins;
mod settings;
mod traffic;
