//! JSON as it was read, in little room: what is text there stays where it is, and is pointed to.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// As many members as most objects have at most. What room is left over is given back.
const FEW: usize = 16;

/// A value, all of which could be read.
pub enum Node {
    Null,
    Flag(bool),
    Whole(i64),
    Large(u64),
    Real(f64),
    Text(Text),
    List(Box<[Node]>),
    Object(Box<[(Text, Node)]>),
}

/// A string.
pub enum Text {
    /// Stands in the text as it is.
    At(Place),
    /// Stands there escaped.
    Unescaped(Box<Box<str>>),
}

/// A part of the text, in bytes.
#[derive(Clone, Copy)]
pub struct Place {
    from: u32,
    to: u32,
}

impl Place {
    const fn range(self) -> Range<usize> {
        self.from as usize..self.to as usize
    }
}

/// A value together with the text that it was read from.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    text: &'a str,
    node: &'a Node,
}

impl<'a> Part<'a> {
    /// `node` was read from `text`.
    pub const fn new(text: &'a str, node: &'a Node) -> Self {
        Self { text, node }
    }

    const fn at(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }

    fn str(self, text: &'a Text) -> &'a str {
        match text {
            Text::At(place) => &self.text[place.range()],
            Text::Unescaped(text) => text,
        }
    }

    /// A member of an object, the last of that name.
    pub fn get(self, name: &str) -> Option<Self> {
        let Node::Object(members) = self.node else { return None };
        let member = members.iter().rev().find(|(called, _)| self.str(called) == name);
        member.map(|(_, node)| self.at(node))
    }

    /// A member of an object, or, by its number, an item of a list.
    pub fn step(self, name: &str) -> Option<Self> {
        match self.node {
            Node::List(items) => items.get(name.parse::<usize>().ok()?).map(|node| self.at(node)),
            _ => self.get(name),
        }
    }

    /// A list's items; of anything else, none.
    pub fn items(self) -> impl DoubleEndedIterator<Item = Self> {
        let items: &[Node] = if let Node::List(items) = self.node { items } else { &[] };
        items.iter().map(move |node| self.at(node))
    }

    pub fn as_str(self) -> Option<&'a str> {
        if let Node::Text(text) = self.node { Some(self.str(text)) } else { None }
    }

    pub const fn as_bool(self) -> Option<bool> {
        if let Node::Flag(flag) = self.node { Some(*flag) } else { None }
    }

    pub fn as_i64(self) -> Option<i64> {
        match self.node {
            Node::Whole(number) => Some(*number),
            Node::Large(number) => (*number).try_into().ok(),
            _ => None,
        }
    }

    /// The same as a value that stands for itself.
    pub fn to_value(self) -> Value {
        match self.node {
            Node::Null => Value::Null,
            Node::Flag(flag) => (*flag).into(),
            Node::Whole(number) => (*number).into(),
            Node::Large(number) => (*number).into(),
            Node::Real(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
            Node::Text(text) => self.str(text).into(),
            Node::List(_) => self.items().map(Self::to_value).collect(),
            Node::Object(members) => {
                members.iter().map(|(name, node)| (self.str(name).to_owned(), self.at(node).to_value())).collect()
            }
        }
    }
}

/// A member's name, borrowed where it needs no unescaping.
#[derive(Deserialize)]
pub struct Name<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Reads a value of this text, or of a part of it.
#[derive(Clone, Copy)]
pub struct Reads<'a>(pub &'a str);

impl<'de> Reads<'de> {
    /// Where a part of the text is.
    pub fn range(self, part: &'de str) -> Range<usize> {
        let from = part.as_ptr().addr() - self.0.as_ptr().addr();
        from..from + part.len()
    }

    fn text<E: Error>(self, text: Cow<'de, str>) -> Result<Text, E> {
        let range = match text {
            Cow::Borrowed(part) => self.range(part),
            Cow::Owned(text) => return Ok(Text::Unescaped(Box::new(text.into()))),
        };
        let beyond = |_| E::custom("more than 4 GiB");
        let (from, to) = (range.start.try_into().map_err(beyond)?, range.end.try_into().map_err(beyond)?);
        Ok(Text::At(Place { from, to }))
    }
}

impl<'de> DeserializeSeed<'de> for Reads<'de> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reads<'de> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Node, E> {
        Ok(Node::Flag(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Whole(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node, E> {
        Ok(i64::try_from(number).map_or(Node::Large(number), Node::Whole))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node, E> {
        Ok(Node::Real(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Node, E> {
        self.text(Cow::Borrowed(text)).map(Node::Text)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        self.text(Cow::Owned(text.to_owned())).map(Node::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Node::List(items.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node, A::Error> {
        let mut members = Vec::with_capacity(FEW);
        while let Some(Name(name)) = object.next_key()? {
            members.push((self.text(name)?, object.next_value_seed(self)?));
        }
        Ok(Node::Object(members.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Node, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let node = Reads(text).deserialize(&mut deserializer)?;
        deserializer.end().map(|()| node)
    }

    #[test]
    fn all_of_json_is_read_as_it_is() {
        let all = json!({
            "": null, "a": [true, false, [], {}], "n": [0, -1, i64::MIN, i64::MAX, u64::MAX, 1.5, -0.0, 1e300],
            "s": ["", "plain", "\"\\\n\u{1F600}é", "\u{0}"], "deep": {"a\"b": {"c": [{"d": "e"}]}},
        });
        for text in [all.to_string(), serde_json::to_string_pretty(&all).unwrap()] {
            assert_eq!(Part::new(&text, &read(&text).unwrap()).to_value(), all);
        }
    }

    #[test]
    fn what_is_asked_for_is_found_by_name_and_kind() {
        let text =
            r#"{"a":1,"flag":true,"large":18446744073709551615,"list":["x",2],"a":"last","\u0062":"un\u0065scaped"}"#;
        let node = read(text).unwrap();
        let part = Part::new(text, &node);
        assert_eq!(part.get("a").unwrap().as_str(), Some("last"));
        assert_eq!(part.get("b").unwrap().as_str(), Some("unescaped"));
        assert_eq!(part.get("flag").unwrap().as_bool(), Some(true));
        assert_eq!(part.get("large").unwrap().as_i64(), None);
        assert_eq!(part.get("list").unwrap().step("1").unwrap().as_i64(), Some(2));
        assert_eq!(part.step("a").unwrap().as_str(), Some("last"));
        assert!(part.get("list").unwrap().get("1").is_none());
        assert_eq!(part.get("list").unwrap().items().filter_map(Part::as_str).collect::<Vec<_>>(), ["x"]);
        assert_eq!(part.items().count(), 0);
        for (part, name) in [(part, "c"), (part.get("list").unwrap(), "2"), (part.get("list").unwrap(), "x")] {
            assert!(part.step(name).is_none(), "{name}");
        }
        let text = part.get("a").unwrap();
        assert!(text.get("a").is_none() && text.as_bool().is_none() && text.as_i64().is_none());
    }

    #[test]
    fn it_takes_little_room() {
        assert_eq!((size_of::<Node>(), size_of::<Text>()), (24, 16));
    }
}
