//! XML as a tree with resolved namespaces, small enough to be looked through by name.

use quick_xml::NsReader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};

/// An element.
#[derive(Clone, Debug, Default)]
pub struct Element {
    pub namespace: String,
    pub name: String,
    /// `xsi:type`, without its prefix.
    pub kind: String,
    /// Whether `xsi:nil` says that it has no value.
    pub is_nil: bool,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// Reads a document; none if it is not a well-formed one.
    pub fn read(text: &str) -> Option<Self> {
        let mut reader = NsReader::from_str(text);
        let mut open = vec![Self::default()];
        loop {
            let (namespace, event) = reader.read_resolved_event().ok()?;
            let namespace = match namespace {
                ResolveResult::Bound(Namespace(name)) => name.to_owned(),
                _ => String::new(),
            };
            match event {
                Event::Start(start) => open.push(Self::started(namespace, &start)?),
                Event::Empty(start) => open.last_mut()?.children.push(Self::started(namespace, &start)?),
                Event::End(_) => {
                    let done = open.pop()?;
                    open.last_mut()?.children.push(done);
                }
                Event::Text(text) => open.last_mut()?.text.push_str(&text.xml10_content()),
                Event::CData(text) => open.last_mut()?.text.push_str(&text.xml10_content()),
                Event::GeneralRef(name) => {
                    open.last_mut()?.text.push_str(&unescape(&format!("&{};", &*name)).ok()?);
                }
                Event::DocType(_) => return None,
                Event::Eof => break,
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
        let root = open.pop().filter(|_| open.is_empty())?;
        root.children.into_iter().next()
    }

    fn started(namespace: String, start: &BytesStart<'_>) -> Option<Self> {
        let name = start.local_name().into_inner().to_owned();
        let mut element = Self { namespace, name, ..Self::default() };
        for attribute in start.attributes() {
            let attribute = attribute.ok()?;
            let value = unescape(&attribute.value).ok()?.into_owned();
            match attribute.key.local_name().into_inner() {
                "type" => element.kind = value.rsplit(':').next().unwrap_or_default().to_owned(),
                "nil" => element.is_nil = value == "true",
                _ => {}
            }
        }
        Some(element)
    }

    /// The first child of a name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Every child of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// What a child says; none if it is missing or has no value.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).filter(|child| !child.is_nil).map(|child| child.text.as_str())
    }
}
