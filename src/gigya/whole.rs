//! A JSON object as it was read, of which only what is asked for is parsed: an account has hundreds of values, and a route
//! maps a few.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Something is there, but can't be read: half a surrogate pair, say, or lists in lists without end, which is passed over
/// unnoticed until it is asked for. It is never the same as nothing: a subscription that can't be read may be an opt-out.
pub type Unread = serde_json::Error;

/// The members whose places are kept; others are looked for.
const KEPT: [&str; 9] =
    ["UID", "isActive", "profile", "emails", "loginIDs", "data", "subscriptions", OF_THE_CALL[0], OF_THE_CALL[1]];
/// What an answer says of the call that it answers, and not of the account.
const OF_THE_CALL: [&str; 2] = ["callId", "time"];
/// The members of which several values are asked for: their own members' places are kept, once the first is.
const MAPPED: [&str; 2] = ["profile", "data"];

/// A JSON object. Clones share its text. `Debug` hides it.
#[derive(Clone)]
pub struct Whole(Arc<Read>);

struct Read {
    text: Box<str>,
    /// Where the values of [`KEPT`] are; empty for those that aren't there.
    places: [Range<usize>; KEPT.len()],
    /// Where the members of [`MAPPED`] have theirs; none for one in which each must be looked for.
    members: [OnceLock<Option<Members>>; MAPPED.len()],
}

/// The places of names and values.
type Members = Vec<(Place, Place)>;

/// A part of the text, in bytes. An answer is far from 4 GiB.
#[derive(Clone, Copy)]
struct Place {
    from: u32,
    to: u32,
}

impl Place {
    fn of(place: Range<usize>) -> Option<Self> {
        Some(Self { from: place.start.try_into().ok()?, to: place.end.try_into().ok()? })
    }

    const fn range(self) -> Range<usize> {
        self.from as usize..self.to as usize
    }
}

impl Whole {
    /// Takes a text, which has to be a JSON object.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, Unread> {
        let text = text.into();
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        let places = Index(&text).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(Self(Arc::new(Read { text, places, members: Default::default() })))
    }

    /// An object without members.
    pub fn empty() -> Self {
        let places = [const { 0..0 }; KEPT.len()];
        Self(Arc::new(Read { text: "{}".into(), places, members: Default::default() }))
    }

    /// Whether both are one text, read once.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether this text is the same answer, to another call: nothing else is different than what is said of the call itself.
    pub fn is_repeated_by(&self, text: &str) -> bool {
        let (ours, theirs) = (self.0.text.as_bytes(), text.as_bytes());
        let mut of_the_call = OF_THE_CALL.map(|name| self.place(name).unwrap_or_default());
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

    fn place(&self, name: &str) -> Option<Range<usize>> {
        KEPT.iter().position(|kept| *kept == name).map(|nth| self.0.places[nth].clone())
    }

    /// The text of a member of the object itself.
    fn member(&self, name: &str) -> Result<Option<&str>, Unread> {
        match self.place(name) {
            Some(place) => Ok(self.0.text.get(place).filter(|text| !text.is_empty())),
            None => member(&self.0.text, name),
        }
    }

    /// The text of a member of a member.
    fn member_of(&self, outer: &str, inner: &str) -> Result<Option<&str>, Unread> {
        let Some(text) = self.member(outer)? else { return Ok(None) };
        let kept = MAPPED.iter().position(|mapped| *mapped == outer).and_then(|nth| {
            // What can't be read at all is looked at once more, for who asks to hear why.
            self.0.members[nth].get_or_init(|| Index(&self.0.text).members_of(text).ok().flatten()).as_ref()
        });
        let Some(kept) = kept else { return member(text, inner) };
        let last = kept.iter().rev().find(|(name, _)| self.0.text[name.range()] == *inner);
        Ok(last.map(|(_, value)| &self.0.text[value.range()]))
    }

    /// A member of the object itself; `None` if it isn't there.
    pub fn get(&self, name: &str) -> Result<Option<Value>, Unread> {
        self.member(name)?.map(serde_json::from_str).transpose()
    }

    /// The value at a place, each name a member or a number in a list; `None` if it isn't there.
    pub fn value<S: AsRef<str>>(&self, path: &[S]) -> Result<Option<Value>, Unread> {
        let (mut found, rest) = match path {
            [] => (Some(&*self.0.text), path),
            [one] => (self.member(one.as_ref())?, &path[1..]),
            [outer, inner, ..] => (self.member_of(outer.as_ref(), inner.as_ref())?, &path[2..]),
        };
        for name in rest {
            let Some(text) = found else { return Ok(None) };
            found = member(text, name.as_ref())?;
        }
        found.map(serde_json::from_str).transpose()
    }
}

/// A JSON string in which nothing is escaped, nor has to be.
fn is_plain_string(text: &[u8]) -> bool {
    let inside = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
    inside.is_some_and(|inside| inside.iter().all(|byte| *byte >= b' ' && !b"\"\\".contains(byte)))
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

impl<'de> Index<'de> {
    /// Where a part of the text is.
    fn place(&self, part: &'de str) -> Range<usize> {
        let from = part.as_ptr().addr() - self.0.as_ptr().addr();
        from..from + part.len()
    }

    /// The places of all members of an object that is a part of the text; none if a name has to be unescaped, or it is no object.
    fn members_of(&self, object: &'de str) -> Result<Option<Members>, Unread> {
        match (MembersOf { index: self }).deserialize(&mut serde_json::Deserializer::from_str(object)) {
            Err(error) if error.is_data() => Ok(None),
            read => read,
        }
    }
}

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
            places[nth] = self.place(map.next_value::<&RawValue>()?.get());
        }
        Ok(places)
    }
}

struct MembersOf<'a, 'de> {
    index: &'a Index<'de>,
}

impl<'de> DeserializeSeed<'de> for MembersOf<'_, 'de> {
    type Value = Option<Members>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MembersOf<'_, 'de> {
    type Value = Option<Members>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Some(Members::new());
        while let Some(Name(name)) = map.next_key()? {
            let value = Place::of(self.index.place(map.next_value::<&RawValue>()?.get()));
            let name = match name {
                Cow::Borrowed(name) => Place::of(self.index.place(name)),
                Cow::Owned(_) => None,
            };
            match (name.zip(value), &mut members) {
                (Some(member), Some(members)) => members.push(member),
                _ => members = None,
            }
        }
        Ok(members)
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
            let whole = Whole::new(text).unwrap();
            prop_assert_eq!(whole.value(&path).unwrap(), expected.clone());
            prop_assert_eq!(whole.value(&path).unwrap(), expected, "asked again");
        }
    }
}
