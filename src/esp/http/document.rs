//! What a JSON document says: pointers into it, and conditions.

use super::fill::{Known, as_text};
use crate::config::http::{Condition, Template, Test};
use serde_json::Value;

/// A document, with what is known of whom it is about.
#[derive(Clone, Copy)]
pub struct Document<'v, 'k> {
    pub value: &'v Value,
    pub known: &'k Known<'k>,
}

impl<'v> Document<'v, '_> {
    /// What is at a pointer; JSON's null is nothing.
    pub fn at(&self, pointer: &Template) -> Option<&'v Value> {
        self.value.pointer(&self.known.pointer(pointer)?).filter(|value| !value.is_null())
    }

    /// Whether anything is there.
    pub fn has(&self, pointer: &Template) -> bool {
        self.at(pointer).is_some()
    }

    /// The text of a scalar there that isn't empty.
    pub fn text(&self, pointer: &Template) -> Option<String> {
        as_text(self.at(pointer)?).filter(|text| !text.trim().is_empty())
    }

    /// All that is at a pointer in which `*` is every element of a list.
    pub fn all(&self, pointer: &Template) -> Vec<&'v Value> {
        let Some(pointer) = self.known.pointer(pointer) else { return Vec::new() };
        let mut found = vec![self.value];
        let parts: Vec<&str> = pointer.split("/*").collect();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                found = found.into_iter().filter_map(Value::as_array).flatten().collect();
            }
            found = found.into_iter().filter_map(|value| value.pointer(part)).collect();
        }
        found.retain(|value| !value.is_null());
        found
    }

    /// Whether it says all of that.
    pub fn says(&self, conditions: &[Condition]) -> bool {
        conditions.iter().all(|condition| self.holds(condition))
    }

    fn holds(&self, condition: &Condition) -> bool {
        let found = self.at(&condition.pointer);
        match &condition.test {
            Test::Exists(exists) => found.is_some() == *exists,
            Test::Equals(texts) => found
                .and_then(as_text)
                .is_some_and(|found| texts.iter().any(|text| self.known.text(text).is_some_and(|text| text == found))),
            Test::Contains(text) => {
                let wanted = self.known.text(text);
                let is_it = |item: &Value| as_text(item).is_some_and(|item| wanted.as_ref() == Some(&item));
                found.and_then(Value::as_array).is_some_and(|items| items.iter().any(is_it))
            }
            Test::Any(members) => {
                let is_it = |item: &Value| {
                    members.iter().all(|(pointer, text)| {
                        let found = item.pointer(pointer).and_then(as_text);
                        found.is_some() && found == self.known.text(text)
                    })
                };
                found.and_then(Value::as_array).is_some_and(|items| items.iter().any(is_it))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::http::Allowed;
    use crate::domain::Audience;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn template(text: &str) -> Template {
        let allowed = Allowed { audience: true, ..Allowed::default() };
        Template::parse(text, allowed, &BTreeMap::new()).unwrap()
    }

    fn holds(value: &Value, pointer: &str, test: Test) -> bool {
        let audience = Audience::new("a/b");
        let known = Known { audience: Some(&audience), ..Known::default() };
        Document { value, known: &known }.says(&[Condition { pointer: template(pointer), test }])
    }

    #[test]
    fn numbers_and_flags_compare_by_how_they_are_written() {
        let value = json!({ "n": 5, "b": true, "s": "x", "none": null, "l": [1, "a/b"] });
        let equals = |text: &str| Test::Equals(vec![template("other"), template(text)]);
        assert!(
            holds(&value, "/n", equals("5")) && holds(&value, "/b", equals("true")) && holds(&value, "/s", equals("x"))
        );
        assert!(
            !holds(&value, "/s", equals("y"))
                && !holds(&value, "/l", equals("1"))
                && !holds(&value, "/none", equals(""))
        );
        assert!(holds(&value, "/none", Test::Exists(false)) && holds(&value, "/n", Test::Exists(true)));
        assert!(
            holds(&value, "/l", Test::Contains(template("1")))
                && holds(&value, "/l", Test::Contains(template("{audience}")))
        );
        assert!(
            !holds(&value, "/l", Test::Contains(template("b"))) && !holds(&value, "/s", Test::Contains(template("x")))
        );
    }

    #[test]
    fn one_of_a_list_has_all_that_is_asked() {
        let value = json!({ "groups": [{ "id": 1, "out": true }, { "id": 2, "out": false }] });
        let any = |id: &str| Test::Any(vec![("/id".into(), template(id)), ("/out".into(), template("true"))]);
        assert!(holds(&value, "/groups", any("1")));
        assert!(!holds(&value, "/groups", any("2")) && !holds(&value, "/groups", any("3")));
    }

    #[test]
    fn what_comes_into_a_pointer_is_escaped() {
        let value = json!({ "of": { "a/b": { "x": 1 } } });
        assert!(holds(&value, "/of/{audience}/x", Test::Exists(true)));
    }

    #[test]
    fn a_star_is_every_element() {
        let value = json!({ "a": [{ "t": 1 }, { "t": null }, {}, { "t": 3 }] });
        let known = Known::default();
        let document = Document { value: &value, known: &known };
        assert_eq!(document.all(&template("/a/*/t")), [&json!(1), &json!(3)]);
        assert_eq!(document.all(&template("/a/0/t")), [&json!(1)]);
        assert!(document.all(&template("/b/*/t")).is_empty());
    }
}
