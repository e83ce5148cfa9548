//! JSON as it was read, in little room: what is text there stays where it is, and is pointed to.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// How many bytes of text there are for a value, at least, in most of what is read.
const A_VALUE: usize = 32;

/// Values in the order of their text, each before what is inside of it: one piece of memory for all of them.
#[derive(Default)]
pub struct Tree(Vec<Entry>);

/// A value, all of which could be read, and its name, where it is a member of an object.
struct Entry {
    name: Option<Text>,
    value: Node,
}

enum Node {
    Null,
    Flag(bool),
    Whole(i64),
    Large(u64),
    Real(f64),
    Text(Text),
    /// Where in the tree what is inside of it ends.
    List(usize),
    /// Likewise.
    Object(usize),
}

/// A string.
enum Text {
    /// Stands in the text as it is.
    At(Place),
    /// Stands there escaped.
    Unescaped(Box<Box<str>>),
}

/// A part of the text, in bytes.
#[derive(Clone, Copy)]
struct Place {
    from: u32,
    to: u32,
}

impl Place {
    #[inline]
    const fn range(self) -> Range<usize> {
        self.from as usize..self.to as usize
    }
}

impl Tree {
    /// With room for the values of a text.
    pub fn of(text: &str) -> Self {
        Self(Vec::with_capacity(text.len() / A_VALUE))
    }

    /// Where the value is that comes after this one and all that is inside of it.
    #[inline]
    fn after(&self, at: usize) -> usize {
        match self.0[at].value {
            Node::List(end) | Node::Object(end) => end,
            _ => at + 1,
        }
    }
}

/// A value together with the text that it was read from.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    text: &'a str,
    tree: &'a Tree,
    at: usize,
}

impl<'a> Part<'a> {
    /// The value of that number; the tree was read from `text`.
    pub const fn new(text: &'a str, tree: &'a Tree, at: usize) -> Self {
        Self { text, tree, at }
    }

    fn node(self) -> &'a Node {
        &self.tree.0[self.at].value
    }

    fn str(self, text: &'a Text) -> &'a str {
        match text {
            Text::At(place) => &self.text[place.range()],
            Text::Unescaped(text) => text,
        }
    }

    fn name(self) -> &'a str {
        self.tree.0[self.at].name.as_ref().map_or("", |name| self.str(name))
    }

    /// Most aren't, and most of these are of another length.
    #[inline]
    fn is_called(self, name: &str) -> bool {
        match &self.tree.0[self.at].name {
            Some(Text::At(place)) => {
                let place = place.range();
                place.len() == name.len() && self.text.as_bytes()[place] == *name.as_bytes()
            }
            Some(Text::Unescaped(called)) => ***called == *name,
            None => false,
        }
    }

    /// What is inside of a value, members or items, one after the other.
    #[inline]
    fn inside(self) -> impl Iterator<Item = Self> {
        let end = self.tree.after(self.at);
        let mut next = self.at + 1;
        std::iter::from_fn(move || {
            let at = next;
            (at < end).then(|| {
                next = self.tree.after(at);
                Self { at, ..self }
            })
        })
    }

    /// A member of an object, the last of that name.
    pub fn get(self, name: &str) -> Option<Self> {
        let Node::Object(_) = self.node() else { return None };
        self.inside().filter(|member| member.is_called(name)).last()
    }

    /// A member of an object, or, by its number, an item of a list.
    pub fn step(self, name: &str) -> Option<Self> {
        match self.node() {
            Node::List(_) => self.inside().nth(name.parse().ok()?),
            _ => self.get(name),
        }
    }

    /// A list's items; of anything else, none.
    pub fn items(self) -> impl Iterator<Item = Self> {
        let is_list = matches!(self.node(), Node::List(_));
        self.inside().take_while(move |_| is_list)
    }

    pub fn as_str(self) -> Option<&'a str> {
        if let Node::Text(text) = self.node() { Some(self.str(text)) } else { None }
    }

    pub fn as_bool(self) -> Option<bool> {
        if let Node::Flag(flag) = self.node() { Some(*flag) } else { None }
    }

    pub fn as_i64(self) -> Option<i64> {
        match self.node() {
            Node::Whole(number) => Some(*number),
            Node::Large(number) => (*number).try_into().ok(),
            _ => None,
        }
    }

    /// The same as a value that stands for itself.
    pub fn to_value(self) -> Value {
        match self.node() {
            Node::Null => Value::Null,
            Node::Flag(flag) => (*flag).into(),
            Node::Whole(number) => (*number).into(),
            Node::Large(number) => (*number).into(),
            Node::Real(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
            Node::Text(text) => self.str(text).into(),
            Node::List(_) => self.inside().map(Self::to_value).collect(),
            Node::Object(_) => self.inside().map(|member| (member.name().to_owned(), member.to_value())).collect(),
        }
    }
}

/// A member's name, borrowed where it needs no unescaping.
#[derive(Deserialize)]
pub struct Name<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Where a part of a text is in it.
pub fn range(text: &str, part: &str) -> Range<usize> {
    let from = part.as_ptr().addr() - text.as_ptr().addr();
    from..from + part.len()
}

/// Reads a value of this text, or of a part of it, to the end of a tree.
pub struct Reads<'de, 't> {
    text: &'de str,
    tree: &'t mut Tree,
    name: Option<Text>,
}

impl<'de, 't> Reads<'de, 't> {
    /// A value that is no member's.
    pub const fn new(text: &'de str, tree: &'t mut Tree) -> Self {
        Self { text, tree, name: None }
    }

    /// What is inside of it.
    const fn inside(&mut self, name: Option<Text>) -> Reads<'de, '_> {
        Reads { text: self.text, tree: &mut *self.tree, name }
    }

    fn text<E: Error>(&self, text: Cow<'de, str>) -> Result<Text, E> {
        let range = match text {
            Cow::Borrowed(part) => range(self.text, part),
            Cow::Owned(text) => return Ok(Text::Unescaped(Box::new(text.into()))),
        };
        let beyond = |_| E::custom("more than 4 GiB");
        let (from, to) = (range.start.try_into().map_err(beyond)?, range.end.try_into().map_err(beyond)?);
        Ok(Text::At(Place { from, to }))
    }

    /// Its number.
    fn push(&mut self, value: Node) -> usize {
        self.tree.0.push(Entry { name: self.name.take(), value });
        self.tree.0.len() - 1
    }
}

impl<'de> DeserializeSeed<'de> for Reads<'de, '_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reads<'de, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(mut self) -> Result<usize, E> {
        Ok(self.push(Node::Null))
    }

    fn visit_bool<E: Error>(mut self, flag: bool) -> Result<usize, E> {
        Ok(self.push(Node::Flag(flag)))
    }

    fn visit_i64<E: Error>(mut self, number: i64) -> Result<usize, E> {
        Ok(self.push(Node::Whole(number)))
    }

    fn visit_u64<E: Error>(mut self, number: u64) -> Result<usize, E> {
        Ok(self.push(i64::try_from(number).map_or(Node::Large(number), Node::Whole)))
    }

    fn visit_f64<E: Error>(mut self, number: f64) -> Result<usize, E> {
        Ok(self.push(Node::Real(number)))
    }

    fn visit_borrowed_str<E: Error>(mut self, text: &'de str) -> Result<usize, E> {
        let text = self.text(Cow::Borrowed(text))?;
        Ok(self.push(Node::Text(text)))
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<usize, E> {
        let text = self.text(Cow::Owned(text.to_owned()))?;
        Ok(self.push(Node::Text(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<usize, A::Error> {
        let at = self.push(Node::List(0));
        while list.next_element_seed(self.inside(None))?.is_some() {}
        self.tree.0[at].value = Node::List(self.tree.0.len());
        Ok(at)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<usize, A::Error> {
        let at = self.push(Node::Object(0));
        while let Some(Name(name)) = object.next_key()? {
            let name = self.text(name)?;
            object.next_value_seed(self.inside(Some(name)))?;
        }
        self.tree.0[at].value = Node::Object(self.tree.0.len());
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Tree, serde_json::Error> {
        let (mut deserializer, mut tree) = (serde_json::Deserializer::from_str(text), Tree::of(text));
        Reads::new(text, &mut tree).deserialize(&mut deserializer)?;
        deserializer.end().map(|()| tree)
    }

    #[test]
    fn all_of_json_is_read_as_it_is() {
        let all = json!({
            "": null, "a": [true, false, [], {}], "n": [0, -1, i64::MIN, i64::MAX, u64::MAX, 1.5, -0.0, 1e300],
            "s": ["", "plain", "\"\\\n\u{1F600}é", "\u{0}"], "deep": {"a\"b": {"c": [{"d": "e"}]}},
        });
        for text in [all.to_string(), serde_json::to_string_pretty(&all).unwrap()] {
            assert_eq!(Part::new(&text, &read(&text).unwrap(), 0).to_value(), all);
        }
    }

    #[test]
    fn what_is_asked_for_is_found_by_name_and_kind() {
        let text =
            r#"{"a":1,"flag":true,"large":18446744073709551615,"list":["x",2],"a":"last","\u0062":"un\u0065scaped"}"#;
        let tree = read(text).unwrap();
        let part = Part::new(text, &tree, 0);
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
        assert_eq!((size_of::<Entry>(), size_of::<Text>()), (32, 16));
    }
}
