//! JSON as it was read, in little room: what is text there stays where it is, and is pointed to.

use serde::de::Error as _;
use serde_json::{Error, Number, Value};
use std::ops::Range;

/// How many bytes of text there are for a value, at least, in most of what is read.
const A_VALUE: usize = 32;
/// How many lists and objects may be in each other: as many as `serde_json` reads.
const DEEPEST: usize = 127;

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

    /// Reads all of a part of a text, which has to be JSON. Tells the value's number.
    ///
    /// # Errors
    /// What is JSON, and can't be read all the same: half a surrogate pair, a number beyond all numbers, lists in lists without end.
    pub fn read(&mut self, text: &str, part: Range<usize>) -> Result<usize, Error> {
        Reader { text: &text[..part.end], at: part.start, tree: self }.value(None, DEEPEST)
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

/// Where a part of a text is in it.
pub fn range(text: &str, part: &str) -> Range<usize> {
    let from = part.as_ptr().addr() - text.as_ptr().addr();
    from..from + part.len()
}

/// Reads a part of a text that was found to be JSON, so that only what tells values apart is looked at. Of what is no JSON, it makes an
/// error, or something else.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    tree: &'a mut Tree,
}

impl Reader<'_> {
    /// The next byte that is neither blank nor between values.
    fn next(&mut self) -> Result<u8, Error> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',' | b':')).count();
        self.at += blank;
        rest.get(blank).copied().ok_or_else(|| Error::custom("breaks off"))
    }

    /// A value and all that is inside of it, which goes no deeper than this. Tells its number.
    fn value(&mut self, name: Option<Text>, deepest: usize) -> Result<usize, Error> {
        let value = match self.next()? {
            open @ (b'{' | b'[') => return self.values(open, name, deepest),
            b'"' => Node::Text(self.string()?),
            b't' => self.word("true", Node::Flag(true)),
            b'f' => self.word("false", Node::Flag(false)),
            b'n' => self.word("null", Node::Null),
            _ => self.number()?,
        };
        Ok(self.push(name, value))
    }

    fn values(&mut self, open: u8, name: Option<Text>, deepest: usize) -> Result<usize, Error> {
        let deepest = deepest.checked_sub(1).ok_or_else(|| Error::custom("too deep"))?;
        let is_object = open == b'{';
        let (close, kind): (_, fn(usize) -> Node) = if is_object { (b'}', Node::Object) } else { (b']', Node::List) };
        let number = self.push(name, Node::Null);
        self.at += 1;
        while self.next()? != close {
            let name = if is_object { Some(self.string()?) } else { None };
            self.value(name, deepest)?;
        }
        self.at += 1;
        self.tree.0[number].value = kind(self.tree.0.len());
        Ok(number)
    }

    fn string(&mut self) -> Result<Text, Error> {
        let (opens, begins) = (self.at, self.at + 1);
        let rest = self.text.as_bytes().get(begins..).unwrap_or_default();
        let plain = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\')).count();
        if let Some(b'"') = rest.get(plain) {
            let ends = begins + plain;
            self.at = ends + 1;
            let beyond = |_| Error::custom("more than 4 GiB");
            return Ok(Text::At(Place {
                from: begins.try_into().map_err(beyond)?,
                to: ends.try_into().map_err(beyond)?,
            }));
        }
        let mut strings =
            serde_json::Deserializer::from_str(self.text.get(opens..).unwrap_or_default()).into_iter::<String>();
        let text = strings.next().ok_or_else(|| Error::custom("breaks off"))??;
        self.at += strings.byte_offset();
        Ok(Text::Unescaped(Box::new(text.into())))
    }

    fn number(&mut self) -> Result<Node, Error> {
        let is_of_it = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let digits = self.text.as_bytes()[self.at..].iter().take_while(is_of_it).count();
        let number: Number = serde_json::from_str(self.text.get(self.at..self.at + digits).unwrap_or_default())?;
        self.at += digits;
        let whole = number.as_i64().map(Node::Whole).or_else(|| number.as_u64().map(Node::Large));
        Ok(whole.unwrap_or_else(|| Node::Real(number.as_f64().unwrap_or(f64::NAN))))
    }

    fn word(&mut self, word: &str, value: Node) -> Node {
        self.at += word.len();
        value
    }

    /// Tells its number.
    fn push(&mut self, name: Option<Text>, value: Node) -> usize {
        self.tree.0.push(Entry { name, value });
        self.tree.0.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Tree, serde_json::Error> {
        let mut tree = Tree::of(text);
        tree.read(text, 0..text.len()).map(|_| tree)
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
    fn what_cannot_be_read_is_an_error() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(read(&nested(DEEPEST)).is_ok());
        for bad in [r#""\ud800""#, r#"{"\ud800":1}"#, "1e999", "[-1e999]", &nested(DEEPEST + 1), &"[".repeat(1_000_000)]
        {
            assert!(read(bad).is_err(), "{bad:.20}");
        }
    }

    proptest! {
        #[test]
        fn what_is_no_json_does_no_harm(text in "[\\[\\]{}\",:\\\\ tfn1é-]{0,40}|.*") {
            let _ = read(&text);
        }
    }

    #[test]
    fn what_breaks_off_is_an_error() {
        let all = r#"{"a\"b":[1,-2.5e3,true,false,null,{"c":"d\\"}], "e" : "f"}"#;
        for end in 0..all.len() {
            assert!(read(&all[..end]).is_err(), "{}", &all[..end]);
        }
    }

    #[test]
    fn it_takes_little_room() {
        assert_eq!((size_of::<Entry>(), size_of::<Text>()), (32, 16));
    }
}
