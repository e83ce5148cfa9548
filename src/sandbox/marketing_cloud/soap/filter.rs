//! Which objects a Retrieve asks for (vendor pages "Simple filter part" and "Complex filter part").

use super::Unreadable;
use super::xml::Element;
use std::borrow::Cow;
use std::cmp::Ordering;

/// Which objects.
pub enum Filter {
    /// A property compared with values.
    Simple { property: String, operator: Operator, values: Vec<String> },
    /// All of them, or any of them.
    Complex { all: bool, parts: Vec<Filter> },
}

#[derive(Clone, Copy)]
pub enum Operator {
    Equals,
    NotEquals,
    In,
    IsNull,
    IsNotNull,
    /// Compared with one value, in one of these ways.
    Ordered(&'static [Ordering]),
}

impl Filter {
    /// Reads a filter. The parts' `xsi:type` is needed: without it they can't be told apart.
    pub fn read(element: &Element) -> Result<Self, Unreadable> {
        match element.kind.as_str() {
            "SimpleFilterPart" => Self::read_simple(element),
            "ComplexFilterPart" => Self::read_complex(element),
            _ => Err(Unreadable),
        }
    }

    fn read_simple(element: &Element) -> Result<Self, Unreadable> {
        let values = element.all("Value").chain(element.all("DateValue"));
        let values: Vec<String> = values.map(|value| value.text.clone()).collect();
        let operator = match (element.text_of("SimpleOperator"), values.len()) {
            (Some("equals"), 1) => Operator::Equals,
            (Some("notEquals"), 1) => Operator::NotEquals,
            (Some("IN"), 1..) => Operator::In,
            (Some("greaterThan"), 1) => Operator::Ordered(&[Ordering::Greater]),
            (Some("greaterThanOrEqual"), 1) => Operator::Ordered(&[Ordering::Greater, Ordering::Equal]),
            (Some("lessThan"), 1) => Operator::Ordered(&[Ordering::Less]),
            (Some("lessThanOrEqual"), 1) => Operator::Ordered(&[Ordering::Less, Ordering::Equal]),
            (Some("isNull"), _) => Operator::IsNull,
            (Some("isNotNull"), _) => Operator::IsNotNull,
            _ => return Err(Unreadable),
        };
        let property = element.text_of("Property").ok_or(Unreadable)?.to_owned();
        Ok(Self::Simple { property, operator, values })
    }

    fn read_complex(element: &Element) -> Result<Self, Unreadable> {
        let all = match element.text_of("LogicalOperator") {
            Some("AND") => true,
            Some("OR") => false,
            _ => return Err(Unreadable),
        };
        let (left, right) = (element.child("LeftOperand"), element.child("RightOperand"));
        let more = element.child("AdditionalOperands").into_iter().flat_map(|more| more.all("Operand"));
        let mut parts = vec![Self::read(left.ok_or(Unreadable)?)?, Self::read(right.ok_or(Unreadable)?)?];
        for part in more {
            parts.push(Self::read(part)?);
        }
        Ok(Self::Complex { all, parts })
    }

    /// The values of which a property must have one, if the filter says so outright.
    pub fn only(&self, wanted: &str) -> Option<Vec<&str>> {
        match self {
            Self::Simple { property, operator: Operator::Equals | Operator::In, values } if property == wanted => {
                Some(values.iter().map(String::as_str).collect())
            }
            Self::Complex { all: true, parts } => parts.iter().find_map(|part| part.only(wanted)),
            _ => None,
        }
    }

    /// The properties it looks at.
    pub fn properties(&self) -> Vec<&str> {
        match self {
            Self::Simple { property, .. } => vec![property],
            Self::Complex { parts, .. } => parts.iter().flat_map(Self::properties).collect(),
        }
    }

    /// Whether an object is one, `value` telling its properties.
    pub fn holds<'a>(&self, value: &dyn Fn(&str) -> Option<Cow<'a, str>>) -> bool {
        match self {
            Self::Complex { all: true, parts } => parts.iter().all(|part| part.holds(value)),
            Self::Complex { all: false, parts } => parts.iter().any(|part| part.holds(value)),
            Self::Simple { property, operator, values } => {
                let held = value(property);
                let is_one = || {
                    let is_held = |wanted: &String| held.as_ref().is_some_and(|held| is_same(property, held, wanted));
                    values.iter().any(is_held)
                };
                match operator {
                    Operator::Equals | Operator::In => is_one(),
                    Operator::NotEquals => !is_one(),
                    Operator::IsNull => held.is_none(),
                    Operator::IsNotNull => held.is_some(),
                    Operator::Ordered(ways) => {
                        let (held, wanted) = (held.as_deref(), values.first());
                        held.zip(wanted).is_some_and(|(held, wanted)| ways.contains(&compared(held, wanted)))
                    }
                }
            }
        }
    }
}

/// Numbers are compared as such, anything else, times among it, as text.
fn compared(held: &str, wanted: &str) -> Ordering {
    match (held.parse::<i64>(), wanted.parse::<i64>()) {
        (Ok(held), Ok(wanted)) => held.cmp(&wanted),
        _ => held.cmp(wanted),
    }
}

/// Addresses are compared without regard to case.
fn is_same(property: &str, held: &str, wanted: &str) -> bool {
    if property == "EmailAddress" { held.eq_ignore_ascii_case(wanted) } else { held == wanted }
}
