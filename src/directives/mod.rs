//! Room directives.
