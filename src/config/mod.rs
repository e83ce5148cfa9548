//! From the file to a checked, typed configuration.
//!
//! Imports only `domain`. [`Config`] is what everybody else sees.

mod model;

pub use model::*;
