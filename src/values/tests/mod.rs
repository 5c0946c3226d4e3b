//! Every value by the cases that nginx decides, and as properties.

mod addresses;
mod dates;
mod scalars;
mod seals;
mod templates;
