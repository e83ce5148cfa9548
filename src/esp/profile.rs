//! A person as an ESP gets to know them.

use crate::domain::{Email, Uid};

/// A person as an ESP gets to know them.
#[derive(Clone, Debug)]
pub struct Person {
    /// Where mail goes.
    pub address: Email,
    /// The Gigya UID, by which they stay the same person.
    pub uid: Uid,
    /// What else the route maps.
    pub fields: Vec<Field>,
}

/// One mapped field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The ESP's name of it, as the route spells it.
    pub name: String,
    /// Its value.
    pub value: FieldValue,
}

/// A mapped field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// The account has none: what the ESP has is cleared.
    Missing,
    /// One text; numbers are written in digits.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// Several texts, for fields that hold many.
    Many(Vec<String>),
}
