//! JSON as it was read, in little room: what is text there stays where it is, and is pointed to.

use crate::json::how_much_is_plain;
use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny};
use serde_json::{Error, Number, Value};
use std::borrow::Cow;
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

impl Text {
    /// What it says; it was read from `text`.
    pub fn within<'a>(&'a self, text: &'a str) -> &'a str {
        match self {
            Self::At(place) => &text[place.range()],
            Self::Unescaped(unescaped) => unescaped,
        }
    }
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

    /// Reads a value and all that is inside of it. Tells its number.
    ///
    /// # Errors
    /// It is no JSON; or it is, and can't be read all the same: half a surrogate pair, a number beyond all numbers, lists in lists
    /// without end.
    pub fn read(&mut self, reader: &mut Reader<'_>) -> Result<usize, Error> {
        self.value(reader, None, DEEPEST)
    }

    /// A value that goes no deeper than this.
    fn value(&mut self, reader: &mut Reader<'_>, name: Option<Text>, deepest: usize) -> Result<usize, Error> {
        let value = match reader.next()? {
            b'{' => {
                let (number, deepest) = self.opens(name, deepest)?;
                reader.object(|reader, name| self.value(reader, Some(name), deepest).map(drop))?;
                return Ok(self.closes(number, Node::Object));
            }
            b'[' => {
                let (number, deepest) = self.opens(name, deepest)?;
                reader.list(|reader| self.value(reader, None, deepest).map(drop))?;
                return Ok(self.closes(number, Node::List));
            }
            b'"' => Node::Text(reader.string()?),
            b't' => reader.word("true", Node::Flag(true))?,
            b'f' => reader.word("false", Node::Flag(false))?,
            b'n' => reader.word("null", Node::Null)?,
            _ => reader.number()?,
        };
        Ok(self.push(name, value))
    }

    /// Tells its number, and how deep what is inside of it may go.
    fn opens(&mut self, name: Option<Text>, deepest: usize) -> Result<(usize, usize), Error> {
        let deepest = deepest.checked_sub(1).ok_or_else(|| Error::custom("too deep"))?;
        Ok((self.push(name, Node::Null), deepest))
    }

    fn closes(&mut self, number: usize, kind: fn(usize) -> Node) -> usize {
        self.0[number].value = kind(self.0.len());
        number
    }

    /// Tells its number.
    fn push(&mut self, name: Option<Text>, value: Node) -> usize {
        self.0.push(Entry { name, value });
        self.0.len() - 1
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
        text.within(self.text)
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

    pub fn is_list(self) -> bool {
        matches!(self.node(), Node::List(_))
    }

    /// A list's items; of anything else, none.
    pub fn items(self) -> impl Iterator<Item = Self> {
        let is_list = self.is_list();
        self.inside().take_while(move |_| is_list)
    }

    pub fn is_null(self) -> bool {
        matches!(self.node(), Node::Null)
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

    fn name(&self) -> &str {
        self.tree.0[self.at].name.as_ref().map_or("", |name| self.str(name))
    }

    /// What a single value says, a number as JSON writes it. Nothing, a list, and an object say nothing.
    pub fn to_text(self) -> Option<Cow<'a, str>> {
        Some(match self.node() {
            Node::Text(text) => self.str(text).into(),
            Node::Flag(flag) => if *flag { "true" } else { "false" }.into(),
            Node::Whole(number) => number.to_string().into(),
            Node::Large(number) => number.to_string().into(),
            Node::Real(number) => Number::from_f64(*number)?.to_string().into(),
            Node::Null | Node::List(_) | Node::Object(_) => return None,
        })
    }
}

/// Reads a text from a place on, and nothing that is no JSON.
#[derive(Clone)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub const fn new(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    /// The place that it has come to, in bytes.
    pub const fn place(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Goes on to the next byte that isn't blank, and tells it.
    #[inline]
    pub fn next(&mut self) -> Result<u8, Error> {
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok(*byte);
            }
            self.at += 1;
        }
        Err(Error::custom("breaks off"))
    }

    /// Whether this byte comes next. Then it is behind.
    #[inline]
    fn takes(&mut self, byte: u8) -> Result<bool, Error> {
        let is_next = self.next()? == byte;
        self.at += usize::from(is_next);
        Ok(is_next)
    }

    #[inline]
    fn must_take(&mut self, byte: u8) -> Result<(), Error> {
        if self.takes(byte)? { Ok(()) } else { Err(Error::custom("something else was expected")) }
    }

    /// Nothing but blanks may be left.
    pub fn end(&mut self) -> Result<(), Error> {
        if self.next().is_ok() { Err(Error::custom("goes on behind its end")) } else { Ok(()) }
    }

    /// An object, whose members' values the caller reads.
    pub fn object(&mut self, mut value: impl FnMut(&mut Self, Text) -> Result<(), Error>) -> Result<(), Error> {
        self.must_take(b'{')?;
        self.until(b'}', |reader| {
            let _opens = reader.next()?;
            let name = reader.string()?;
            reader.must_take(b':')?;
            value(reader, name)
        })
    }

    /// A list, whose items the caller reads.
    fn list(&mut self, item: impl FnMut(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        self.must_take(b'[')?;
        self.until(b']', item)
    }

    /// One after the other, with commas between them.
    fn until(&mut self, close: u8, mut one: impl FnMut(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        if self.takes(close)? {
            return Ok(());
        }
        loop {
            one(self)?;
            if self.takes(close)? {
                return Ok(());
            }
            self.must_take(b',')?;
        }
    }

    fn string(&mut self) -> Result<Text, Error> {
        if let Some(place) = self.plain_string() {
            let beyond = |_| Error::custom("more than 4 GiB");
            let (from, to) = (place.start.try_into().map_err(beyond)?, place.end.try_into().map_err(beyond)?);
            return Ok(Text::At(Place { from, to }));
        }
        Ok(Text::Unescaped(Box::new(self.by_serde::<String>()?.into())))
    }

    /// Where the inside of a string is in which nothing is escaped. `None`, and nothing is behind, if another comes next, or none.
    #[inline]
    fn plain_string(&mut self) -> Option<Range<usize>> {
        let inside = self.rest().strip_prefix(b"\"")?;
        let plain = how_much_is_plain(inside);
        let from = self.at + 1;
        (inside.get(plain) == Some(&b'"')).then(|| {
            self.at = from + plain + 1;
            from..from + plain
        })
    }

    fn number(&mut self) -> Result<Node, Error> {
        let number = self.by_serde::<Number>()?;
        let whole = number.as_i64().map(Node::Whole).or_else(|| number.as_u64().map(Node::Large));
        Ok(whole.unwrap_or_else(|| Node::Real(number.as_f64().unwrap_or(f64::NAN))))
    }

    fn word(&mut self, word: &str, value: Node) -> Result<Node, Error> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(Error::custom("something else was expected"));
        }
        self.at += word.len();
        Ok(value)
    }

    /// Passes over a value, even over one that can't be read.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn pass_over(&mut self) -> Result<(), Error> {
        let _first = self.next()?;
        if self.plain_string().is_none() {
            self.by_serde::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn by_serde<T: Deserialize<'a>>(&mut self) -> Result<T, Error> {
        let mut values =
            serde_json::Deserializer::from_str(self.text.get(self.at..).unwrap_or_default()).into_iter::<T>();
        let value = values.next().ok_or_else(|| Error::custom("breaks off"))??;
        self.at += values.byte_offset();
        Ok(value)
    }
}

#[cfg(test)]
pub mod tests;
