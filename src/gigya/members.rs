//! Some of an object's members, each read by itself: one that can't be read keeps no other from being told.

use super::tree::{Part, Reader, Tree};
use std::ops::Range;

/// Something is there, but can't be read: half a surrogate pair, say, or lists in lists without end, which is passed over
/// unnoticed until it is asked for. It is never the same as nothing: a subscription that can't be read may be an opt-out.
pub type Unread = serde_json::Error;

/// The members of these names; of several of one name, the last.
pub struct Members<const N: usize> {
    names: &'static [&'static str; N],
    tree: Tree,
    found: [Member; N],
    is_any_twice: bool,
}

enum Member {
    Missing,
    /// Its number in the tree.
    Read(usize),
    /// Its place. Something in it can't be read, which may not be what is asked for.
    Unread(Range<usize>),
}

/// What became of looking for a member.
pub enum Found<'a> {
    /// It isn't there.
    Nothing,
    /// It is, and all of it can be read.
    Part(Part<'a>),
    /// It is, and this is its text. Something in it can't be read.
    Unread(&'a str),
}

impl<const N: usize> Members<N> {
    /// None.
    pub fn none(names: &'static [&'static str; N]) -> Self {
        Self { names, tree: Tree::default(), found: std::array::from_fn(|_| Member::Missing), is_any_twice: false }
    }

    /// Reads a text, which has to be a JSON object. Tells the names and places of all others.
    ///
    /// # Errors
    /// It is none.
    pub fn read(
        names: &'static [&'static str; N],
        text: &str,
        mut others: impl FnMut(&str, Range<usize>),
    ) -> Result<Self, Unread> {
        let mut members = Self { tree: Tree::of(text), ..Self::none(names) };
        let mut reader = Reader::new(text, 0);
        reader.object(|reader, name| {
            let name = name.within(text);
            let _first = reader.next()?;
            let begins = reader.place();
            match names.iter().position(|wanted| *wanted == name) {
                Some(nth) => members.member(nth, reader),
                None => reader.pass_over().map(|()| others(name, begins..reader.place())),
            }
        })?;
        reader.end().map(|()| members)
    }

    fn member(&mut self, nth: usize, reader: &mut Reader<'_>) -> Result<(), Unread> {
        self.is_any_twice |= !matches!(self.found[nth], Member::Missing);
        let before = reader.clone();
        self.found[nth] = match self.tree.read(reader) {
            Ok(at) => Member::Read(at),
            // What was read of it until it couldn't be stays behind, and nothing leads there.
            Err(_) => {
                *reader = before.clone();
                reader.pass_over()?;
                Member::Unread(before.place()..reader.place())
            }
        };
        Ok(())
    }

    /// Whether there are several of one name.
    pub const fn is_any_twice(&self) -> bool {
        self.is_any_twice
    }

    /// Looks for a member; the text is the one that was read. `None` where the name is none of those that are.
    pub fn find<'a>(&'a self, text: &'a str, name: &str) -> Option<Found<'a>> {
        let nth = self.names.iter().position(|read| *read == name)?;
        Some(match &self.found[nth] {
            Member::Missing => Found::Nothing,
            Member::Read(at) => Found::Part(Part::new(text, &self.tree, *at)),
            Member::Unread(place) => Found::Unread(&text[place.clone()]),
        })
    }

    /// A member, all of which must be readable.
    ///
    /// # Errors
    /// It isn't.
    pub fn part<'a>(&'a self, text: &'a str, name: &str) -> Result<Option<Part<'a>>, Unread> {
        match self.find(text, name) {
            None | Some(Found::Nothing) => Ok(None),
            Some(Found::Part(part)) => Ok(Some(part)),
            Some(Found::Unread(text)) => Tree::default().read(&mut Reader::new(text, 0)).map(|_| None),
        }
    }
}
