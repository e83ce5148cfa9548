//! A JSON object as it was read: what is asked of accounts in any case is read once, and the rest, of which an account has
//! hundreds of values, looked for where a route maps it.

use super::envelope::Name;
use super::members::{Found, Members, Unread};
use super::tree::{Part, Reader, Tree};
use crate::json::how_much_is_plain;
use serde::de::{self, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The members that are read; others are looked for.
const KEPT: [&str; 7] = ["UID", "isActive", "profile", "emails", "loginIDs", "data", "subscriptions"];
/// What an answer says of the call that it answers, and not of the account.
const OF_THE_CALL: [&str; 2] = ["callId", "time"];

/// A JSON object. Clones share its text. `Debug` hides it.
#[derive(Clone)]
pub struct Whole(Arc<Read>);

struct Read {
    text: Box<str>,
    /// Those of [`KEPT`].
    members: Members<{ KEPT.len() }>,
    /// Where those of [`OF_THE_CALL`] are; empty for one that isn't there.
    of_the_call: [Range<usize>; OF_THE_CALL.len()],
}

impl Whole {
    /// Takes a text, which has to be a JSON object.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, Unread> {
        let text = text.into();
        let mut of_the_call = <[Range<usize>; OF_THE_CALL.len()]>::default();
        let members = Members::read(&KEPT, &text, |name, place| {
            if let Some(nth) = OF_THE_CALL.iter().position(|told| *told == name) {
                of_the_call[nth] = place;
            }
        })?;
        Ok(Self(Arc::new(Read { text, members, of_the_call })))
    }

    /// An object without members.
    pub fn empty() -> Self {
        Self(Arc::new(Read { text: "{}".into(), members: Members::none(&KEPT), of_the_call: Default::default() }))
    }

    /// Whether both are one text, read once.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether this text is the same answer, to another call: nothing else is different than what is said of the call itself.
    pub fn is_repeated_by(&self, text: &str) -> bool {
        let (ours, theirs) = (self.0.text.as_bytes(), text.as_bytes());
        let mut of_the_call = self.0.of_the_call.clone();
        of_the_call.sort_by_key(|place| place.start);
        let mut from = 0;
        ours.len() == theirs.len()
            && of_the_call.into_iter().filter(|place| !place.is_empty()).all(|place| {
                let before = std::mem::replace(&mut from, place.end)..place.start;
                ours[before.clone()] == theirs[before]
                    && is_plain_string(&ours[place.clone()])
                    && is_plain_string(&theirs[place])
            })
            && ours[from..] == theirs[from..]
    }

    /// All of it, if all can be read.
    pub fn to_value(&self) -> Option<Value> {
        serde_json::from_str(&self.0.text).ok()
    }

    /// One of the members that are read; `None` if it isn't there, or is none of them.
    pub fn part(&self, name: &str) -> Result<Option<Part<'_>>, Unread> {
        self.0.members.part(&self.0.text, name)
    }

    /// Says something of the value at a place, each name of which is a member or a number in a list; or of there being none.
    pub fn at<S: AsRef<str>, R>(&self, path: &[S], say: impl FnOnce(Option<Part<'_>>) -> R) -> Result<R, Unread> {
        let (first, rest) = path.split_first().map_or(("", path), |(first, rest)| (first.as_ref(), rest));
        let mut found = match self.0.members.find(&self.0.text, first) {
            Some(Found::Nothing) => return Ok(say(None)),
            Some(Found::Part(part)) => {
                return Ok(say(rest.iter().try_fold(part, |part, name| part.step(name.as_ref()))));
            }
            Some(Found::Unread(text)) => Some(text),
            None => member(&self.0.text, first)?,
        };
        for name in rest {
            let Some(text) = found else { break };
            found = member(text, name.as_ref())?;
        }
        let Some(text) = found else { return Ok(say(None)) };
        let mut tree = Tree::of(text);
        let at = tree.read(&mut Reader::new(text, 0))?;
        Ok(say(Some(Part::new(text, &tree, at))))
    }
}

/// A JSON string in which nothing is escaped, nor has to be.
fn is_plain_string(text: &[u8]) -> bool {
    let inside = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
    inside.is_some_and(|inside| how_much_is_plain(inside) == inside.len())
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
    use super::super::tree::tests::nearly_json;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use std::borrow::Cow;
    use std::collections::BTreeMap;

    fn value(text: &str, path: &[&str]) -> Option<Value> {
        Whole::new(text).unwrap().at(path, |part| part.map(Part::to_value)).unwrap()
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
    fn the_same_answer_to_another_call_is_known() {
        let first = r#"{"callId":"0a1b","errorCode":0,"time":"2026-01-01T00:00:00Z","UID":"u1","profile":{"a":"b"}}"#;
        let whole = Whole::new(first).unwrap();
        assert!(whole.is_repeated_by(first));
        assert!(whole.is_repeated_by(&first.replace("0a1b", "ffff").replace("2026-01", "2031-12")));
        for (what, with) in [
            ("u1", "u2"),
            ("\"a\"", "\"A\""),
            ("\"errorCode\":0", "\"errorCode\":1"),
            // Of another length, or of another shape.
            ("0a1b", "0a1bc"),
            ("0a1b", "0\\\"1"),
            ("0a1b", "0\",\""),
            ("\"0a1b\"", "123456"),
            ("}}", "} "),
        ] {
            assert!(!whole.is_repeated_by(&first.replace(what, with)), "{what} {with}");
        }
        let silent = Whole::new(r#"{"UID":"u1"}"#).unwrap();
        assert!(silent.is_repeated_by(r#"{"UID":"u1"}"#) && !silent.is_repeated_by(r#"{"UID":"u2"}"#));
        let odd = r#"{"callId":17,"UID":"u1"}"#;
        assert!(!Whole::new(odd).unwrap().is_repeated_by(odd), "what is of no known shape is read again");
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
            assert!(whole.part("subscriptions").is_err(), "{bad}");
            assert!(whole.at(&["profile", "email"], |_| ()).is_err(), "{bad}");
            assert!(whole.part("emails").unwrap().is_none());
        }
        let whole = Whole::new(r#"{"profile":{"\ud800":1,"email":"ann@example.org"}}"#).unwrap();
        assert!(whole.at(&["profile", "email"], |_| ()).is_err());
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
        fn what_is_taken_for_an_object_is_what_serde_json_takes_for_one(text in nearly_json(), name in "UID|profile|time|x") {
            let text = format!("{{\"{name}\":{text},\"errorCode\":0}}");
            let is_one = serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(&text).is_ok();
            prop_assert_eq!(Whole::new(text).is_ok(), is_one);
        }

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
            prop_assert_eq!(Whole::new(text).unwrap().at(&path, |part| part.map(Part::to_value)).unwrap(), expected);
        }
    }
}
