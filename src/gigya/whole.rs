//! A JSON object as it was read, of which only what is asked for is parsed: an account has hundreds of values, and a route
//! maps a few.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Something is there, but can't be read: half a surrogate pair, say, or lists in lists without end, which is passed over
/// unnoticed until it is asked for. It is never the same as nothing: a subscription that can't be read may be an opt-out.
pub type Unread = serde_json::Error;

/// The members whose places are kept; others are looked for.
const KEPT: [&str; 7] = ["UID", "isActive", "profile", "emails", "loginIDs", "data", "subscriptions"];

/// A JSON object. Clones share its text. `Debug` hides it.
#[derive(Clone)]
pub struct Whole {
    text: Arc<str>,
    /// Where the values of [`KEPT`] are; empty for those that aren't there.
    places: [Range<usize>; KEPT.len()],
}

impl Whole {
    /// Takes a text, which has to be a JSON object.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, Unread> {
        let text = text.into();
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        let places = Index(&text).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(Self { text, places })
    }

    /// An object without members.
    pub fn empty() -> Self {
        Self { text: "{}".into(), places: [const { 0..0 }; KEPT.len()] }
    }

    /// The text of a member of the object itself.
    fn member(&self, name: &str) -> Result<Option<&str>, Unread> {
        match KEPT.iter().position(|kept| *kept == name) {
            Some(nth) => Ok(self.text.get(self.places[nth].clone()).filter(|text| !text.is_empty())),
            None => member(&self.text, name),
        }
    }

    /// A member of the object itself; `None` if it isn't there.
    pub fn get(&self, name: &str) -> Result<Option<Value>, Unread> {
        self.member(name)?.map(serde_json::from_str).transpose()
    }

    /// The value at a place, each name a member or a number in a list; `None` if it isn't there.
    pub fn value<S: AsRef<str>>(&self, path: &[S]) -> Result<Option<Value>, Unread> {
        let Some((first, rest)) = path.split_first() else { return serde_json::from_str(&self.text).map(Some) };
        let mut found = self.member(first.as_ref())?;
        for name in rest {
            let Some(text) = found else { return Ok(None) };
            found = member(text, name.as_ref())?;
        }
        found.map(serde_json::from_str).transpose()
    }
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Whole(hidden)")
    }
}

/// The text of a member of an object, or of an item of a list; `None` if there is none, or it is neither.
fn member<'a>(text: &'a str, name: &str) -> Result<Option<&'a str>, Unread> {
    match Find(name).deserialize(&mut serde_json::Deserializer::from_str(text)) {
        Ok(found) => Ok(found.map(RawValue::get)),
        Err(error) if error.is_data() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A member's name, borrowed where it needs no unescaping.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Index<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Index<'de> {
    type Value = [Range<usize>; KEPT.len()];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Index<'de> {
    type Value = [Range<usize>; KEPT.len()];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut places = [const { 0..0 }; KEPT.len()];
        while let Some(Name(name)) = map.next_key()? {
            let Some(nth) = KEPT.iter().position(|kept| *kept == name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value::<&RawValue>()?.get();
            // The value is a part of the text.
            let from = value.as_ptr().addr() - self.0.as_ptr().addr();
            places[nth] = from..from + value.len();
        }
        Ok(places)
    }
}

/// Looks for a name; of several members of the same name, the last counts.
struct Find<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Name(name)) = map.next_key()? {
            if *name == *self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let nth: usize = self.0.parse().map_err(|_| A::Error::invalid_type(de::Unexpected::Seq, &self))?;
        let mut found = None;
        let mut at = 0;
        while let Some(item) = items.next_element::<&RawValue>()? {
            found = if at == nth { Some(item) } else { found };
            at += 1;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn value(text: &str, path: &[&str]) -> Option<Value> {
        Whole::new(text).unwrap().value(path).unwrap()
    }

    #[test]
    fn a_value_is_found_by_its_path() {
        let text =
            r#"{"UID":"u1","profile":{"name":{"first":"Ann"}},"other":[1,{"a":[true]}],"data":{"a.b":"dotted"}}"#;
        assert_eq!(value(text, &["UID"]), Some(json!("u1")));
        assert_eq!(value(text, &["profile", "name", "first"]), Some(json!("Ann")));
        assert_eq!(value(text, &["profile", "name"]), Some(json!({ "first": "Ann" })));
        assert_eq!(value(text, &["other", "1", "a", "0"]), Some(json!(true)));
        assert_eq!(value(text, &["data", "a.b"]), Some(json!("dotted")));
        for path in
            [&["nothing"][..], &["UID", "more"], &["other", "2"], &["other", "x"], &["emails"], &["profile", ""]]
        {
            assert_eq!(value(text, path), None, "{path:?}");
        }
    }

    #[test]
    fn names_may_be_escaped_and_the_last_of_two_counts() {
        assert_eq!(
            value(r#"{"pro\u0066ile":{"\u0061":1},"profile":{"a":2,"a":3}}"#, &["profile", "a"]),
            Some(json!(3))
        );
        assert_eq!(value(r#"{"pro\u0066ile":{"\u0061":1}}"#, &["profile", "a"]), Some(json!(1)));
    }

    #[test]
    fn what_is_no_object_is_none() {
        for text in ["", "null", "[]", "1", "{", "{}x", r#"{"UID":}"#, r#"{"UID":1"#] {
            assert!(Whole::new(text).is_err(), "{text}");
        }
        assert!(Whole::new(" {} ").is_ok());
        assert_eq!(format!("{:?}", Whole::new(r#"{"UID":"canary"}"#).unwrap()), "Whole(hidden)");
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_nothing() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        for bad in [r#""\ud800""#, r#"{"\ud800":1}"#, "1e999", &deep] {
            let whole = Whole::new(format!(r#"{{"subscriptions":{bad},"profile":{{"email":{bad}}}}}"#)).unwrap();
            assert!(whole.get("subscriptions").is_err(), "{bad}");
            assert!(whole.value(&["profile", "email"]).is_err(), "{bad}");
            assert_eq!(whole.get("emails").unwrap(), None);
        }
        let whole = Whole::new(r#"{"profile":{"\ud800":1,"email":"ann@example.org"}}"#).unwrap();
        assert!(whole.value(&["profile", "email"]).is_err());
    }

    /// JSON of whatever shape, with names that meet.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            ".*".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            let names =
                prop_oneof![Just("UID".to_owned()), Just("profile".to_owned()), Just("data".to_owned()), "[a-c]\"?"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(names, inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_parsing_all_of_it_finds(
            members in prop::collection::btree_map("UID|profile|data|other|[a-c]\"?", any_json(), 0..6),
            path in prop::collection::vec("UID|profile|data|other|[a-c]\"?|[0-2]", 1..4),
            pretty: bool,
        ) {
            let all = Value::Object(members.into_iter().collect());
            let text = if pretty { serde_json::to_string_pretty(&all).unwrap() } else { all.to_string() };
            let step = |value: &Value, name: &String| match value {
                Value::Array(items) => items.get(name.parse::<usize>().ok()?).cloned(),
                value => value.get(name).cloned(),
            };
            let expected = path.iter().try_fold(all, |value, name| step(&value, name));
            prop_assert_eq!(Whole::new(text).unwrap().value(&path).unwrap(), expected);
        }
    }
}
