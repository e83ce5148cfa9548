//! Takes typed values out of the tree and collects what is wrong with them.

use super::Environment;
use super::problem::{Place, Problem};
use super::sources::{Digest, Sources};
use super::tree::{Node, Table, Value};
use secrecy::SecretString;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// Where secrets come from.
pub struct Source<'a> {
    pub environment: &'a Environment,
    /// Relative paths of secret files start here.
    pub folder: &'a Path,
    /// What was read so far.
    pub noted: RefCell<Sources>,
}

impl<'a> Source<'a> {
    pub fn new(environment: &'a Environment, folder: &'a Path) -> Self {
        Self { environment, folder, noted: RefCell::default() }
    }
}

/// One table being read. Every key that is asked for is known; what is left at the end is not.
pub struct Reader<'a> {
    path: String,
    place: Place,
    table: Table,
    known: Vec<&'static str>,
    source: &'a Source<'a>,
    problems: &'a mut Vec<Problem>,
}

/// What a secret must be, when it isn't.
const SECRET_REMEDY: &str =
    "write { env = \"NAME\" } or { file = \"/path\" }; a secret itself must not stand in this file";

impl<'a> Reader<'a> {
    pub fn new(
        path: String,
        place: Place,
        table: Table,
        source: &'a Source<'a>,
        problems: &'a mut Vec<Problem>,
    ) -> Self {
        Self { path, place, table, known: Vec::new(), source, problems }
    }

    /// Reports a problem with a key of this table, at its place or the table's.
    pub fn report(&mut self, key: &str, place: Option<&Place>, what: impl Into<String>, remedy: impl Into<String>) {
        let place = place.unwrap_or(&self.place).clone();
        let key = self.path_of(key);
        self.problems.push(Problem::new(place, key, what, remedy));
    }

    fn path_of(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }

    pub fn take(&mut self, key: &'static str) -> Option<Node> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// Whether the key is there, and not taken yet.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Undoes a [`Reader::take`].
    pub fn put_back(&mut self, key: &'static str, node: Node) {
        self.table.insert(key.to_owned(), node);
    }

    /// Whether something is already known to be wrong with a key.
    pub fn reported(&self, key: &str) -> bool {
        let path = self.path_of(key);
        self.problems.iter().any(|problem| problem.key == path)
    }

    /// Whether something is already known to be wrong in this table.
    pub fn is_reported(&self) -> bool {
        self.reported_below("")
    }

    /// Whether something is already known to be wrong in a table.
    pub fn reported_below(&self, table: &str) -> bool {
        let path = self.path_of(table);
        self.problems.iter().any(|problem| problem.key.starts_with(&path))
    }

    /// A path that is relative to the configuration file's folder.
    pub fn path_from_here(&self, path: &str) -> PathBuf {
        self.source.folder.join(path)
    }

    pub fn missing(&mut self, key: &'static str, remedy: &str) {
        self.report(key, None, "is missing", remedy);
    }

    /// A text, and where it stands.
    pub fn text(&mut self, key: &'static str) -> Option<(String, Place)> {
        let node = self.take(key)?;
        match (node.text, node.value) {
            (Some(text), value) if !matches!(value, Value::Text(_)) => Some((text, node.place)),
            (_, Value::Text(text)) => Some((text, node.place)),
            _ => {
                self.report(key, Some(&node.place), "is not text", "put it in double quotes");
                None
            }
        }
    }

    /// A text that must not be empty.
    pub fn required_text(&mut self, key: &'static str, remedy: &str) -> Option<(String, Place)> {
        let there = self.table.contains_key(key);
        let found = self.text(key).filter(|(text, _)| !text.trim().is_empty());
        if found.is_none() && !there {
            self.missing(key, remedy);
        } else if found.is_none() && !self.reported(key) {
            self.report(key, None, "is empty", remedy);
        }
        found
    }

    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        match self.take(key) {
            None => default,
            Some(Node { value: Value::Flag(flag), .. }) => flag,
            Some(node) => {
                self.report(key, Some(&node.place), "is neither true nor false", "write true or false, without quotes");
                default
            }
        }
    }

    pub fn count(&mut self, key: &'static str, default: usize, least: usize, most: usize) -> usize {
        let Some(node) = self.take(key) else { return default };
        match node.value {
            Value::Integer(number) if usize::try_from(number).is_ok_and(|n| (least..=most).contains(&n)) => {
                usize::try_from(number).unwrap_or(default)
            }
            _ => {
                let what = format!("is not a whole number from {least} to {most}");
                self.report(key, Some(&node.place), what, format!("the default is {default}"));
                default
            }
        }
    }

    /// A part of something: a number from 0 to 1.
    pub fn ratio(&mut self, key: &'static str, default: f64) -> f64 {
        let Some(node) = self.take(key) else { return default };
        match node.value {
            Value::Integer(0) => 0.0,
            Value::Integer(1) => 1.0,
            Value::Decimal(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
            _ => {
                let remedy = format!("write 0.1 for every tenth; the default is {default:?}");
                self.report(key, Some(&node.place), "is not a number from 0 to 1", remedy);
                default
            }
        }
    }

    /// A length of time: `500ms`, `8s`, `5m`, `48h`.
    pub fn time(&mut self, key: &'static str, default: Duration, least: Duration, most: Duration) -> Duration {
        let Some((text, place)) = self.text(key) else { return default };
        match duration(&text).filter(|time| (least..=most).contains(time)) {
            Some(time) => time,
            None => {
                let what = format!("is not a length of time from {} to {}", spelled(least), spelled(most));
                self.report(key, Some(&place), what, "write \"500ms\", \"8s\", \"5m\", \"48h\" or \"2d\"");
                default
            }
        }
    }

    /// One of several words.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let (text, place) = self.text(key)?;
        let chosen = choices.iter().find(|(word, _)| *word == text);
        if chosen.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            self.report(key, Some(&place), "is none of the choices", format!("write {}", words.join(" or ")));
        }
        chosen.map(|(_, value)| *value)
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &'static str) -> Option<(Vec<String>, Place)> {
        let node = self.take(key)?;
        let texts = match node.value {
            Value::List(items) => items
                .into_iter()
                .map(|item| match item.value {
                    Value::Text(text) if !text.trim().is_empty() => Some(text),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>(),
            _ => None,
        };
        if texts.is_none() {
            self.report(key, Some(&node.place), "is not a list of texts", "write [\"one\", \"two\"]");
        }
        Some((texts?, node.place))
    }

    /// A list of texts, of which some may be empty.
    pub fn texts_or_empty(&mut self, key: &'static str) -> Option<(Vec<String>, Place)> {
        let node = self.take(key)?;
        let texts = match node.value {
            Value::Text(text) => Some(vec![text]),
            Value::List(items) => items
                .into_iter()
                .map(|item| match item.value {
                    Value::Text(text) => Some(text),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        if texts.is_none() {
            self.report(key, Some(&node.place), "is not a list of texts", "write [\"one\", \"two\"]");
        }
        Some((texts?, node.place))
    }

    /// The base of an API: https, or http on this machine, or anywhere if the connection says `allow_http`.
    pub fn base_url(&mut self, key: &'static str, allow_http: bool) -> Option<Url> {
        let remedy = "use https; for a host on a network that you trust, set allow_http = true on this connection";
        self.url(key, allow_http, remedy)
    }

    /// https, or http on this machine, or anywhere if so said.
    pub fn url(&mut self, key: &'static str, allow_http: bool, remedy: &str) -> Option<Url> {
        let (text, place) = self.text(key)?;
        let url =
            Url::parse(&text).ok().filter(|url| url.has_host() && url.query().is_none() && url.fragment().is_none());
        let Some(url) = url.filter(|url| url.username().is_empty() && url.password().is_none()) else {
            let remedy = "write \"https://host\" or \"https://host/path\", without user, password or query";
            self.report(key, Some(&place), "is not a URL that calls can be made to", remedy);
            return None;
        };
        let is_allowed = match url.scheme() {
            "https" => true,
            "http" => allow_http || is_loopback(&url),
            _ => false,
        };
        if !is_allowed {
            self.report(key, Some(&place), "is not https, and its host is not this machine", remedy);
        }
        is_allowed.then_some(url)
    }

    /// A secret, read from where it says.
    pub fn secret(&mut self, key: &'static str) -> Option<SecretString> {
        let node = self.take(key)?;
        self.read_secret(key, node)
    }

    /// A table of secrets, each by a name that is free.
    pub fn named_secrets(&mut self, key: &'static str) -> Vec<(String, Place, SecretString)> {
        let Some((table, place)) = self.table(key) else { return Vec::new() };
        let mut inner = self.sub(key, place, Table::new());
        let read = |(name, node): (String, Node)| {
            let place = node.place.clone();
            inner.read_secret(&name, node).map(|secret| (name, place, secret))
        };
        table.into_iter().filter_map(read).collect()
    }

    /// A secret that must be there.
    pub fn required_secret(&mut self, key: &'static str) -> Option<SecretString> {
        if !self.table.contains_key(key) {
            self.known.push(key);
            self.missing(key, SECRET_REMEDY);
            return None;
        }
        self.secret(key)
    }

    /// A list of secrets, any of which is valid.
    pub fn secrets(&mut self, key: &'static str) -> Option<(Vec<SecretString>, Place)> {
        let node = self.take(key)?;
        let place = node.place.clone();
        let Value::List(items) = node.value else {
            // An override may be the one secret itself, and one reference need not be in a list.
            return Some((vec![self.read_secret(key, node)?], place));
        };
        if items.is_empty() {
            self.report(key, Some(&place), "is empty", "write [{ env = \"NAME\" }]; several while rotating");
        }
        let secrets: Vec<_> = items.into_iter().filter_map(|item| self.read_secret(key, item)).collect();
        Some((secrets, place))
    }

    /// The one file that a list of secrets names, if it isn't there yet, or empty: then the key counts as taken, and not
    /// given. One that can't be looked at is there.
    pub fn file_to_come(&mut self, key: &'static str) -> Option<PathBuf> {
        let node = self.take(key)?;
        let file = node.only_file().map(|file| self.source.folder.join(file)).filter(|file| is_to_come(file));
        match &file {
            // Watched: once it is there, the configuration is loaded anew.
            Some(file) => {
                self.source.noted.borrow_mut().secret_files.insert(file.clone(), None);
            }
            None => self.put_back(key, node),
        }
        file
    }

    fn read_secret(&mut self, key: &str, node: Node) -> Option<SecretString> {
        let place = node.place;
        let mut table = match (node.value, node.text) {
            (Value::Table(table), _) => table,
            // In a variable, the text is the secret.
            (_, Some(text)) => return self.usable_secret(key, &place, &text, "the variable"),
            (_, None) => {
                self.report(key, Some(&place), "is not a reference to a secret", SECRET_REMEDY);
                return None;
            }
        };
        let text_of = |node: Node| match node.value {
            Value::Text(text) => Some(text),
            _ => None,
        };
        let (env, file) = (table.remove("env").and_then(text_of), table.remove("file").and_then(text_of));
        match (env, file, table.is_empty()) {
            (Some(name), None, true) => match self.source.environment.get(&name).map(ToOwned::to_owned) {
                Some(text) => self.usable_secret(key, &place, &text, &format!("environment variable {name}")),
                None => {
                    let what = format!("environment variable {name} is not set");
                    self.report(key, Some(&place), what, "set it where the gateway is started");
                    None
                }
            },
            (None, Some(file), true) => match self.read_file(&file) {
                Ok(text) => self.usable_secret(key, &place, &text, &format!("file {file}")),
                Err(error) => {
                    let what = format!("file {file} cannot be read: {error}");
                    self.report(key, Some(&place), what, "see that it exists and this user may read it");
                    None
                }
            },
            _ => {
                self.report(key, Some(&place), "is not a reference to a secret", SECRET_REMEDY);
                None
            }
        }
    }

    fn usable_secret(&mut self, key: &str, place: &Place, text: &str, whence: &str) -> Option<SecretString> {
        let text = text.trim_end_matches(['\r', '\n']);
        if text.trim().is_empty() {
            self.report(key, Some(place), format!("{whence} is empty"), "put the secret there");
            return None;
        }
        self.source.noted.borrow_mut().note_secret(self.path_of(key), text);
        Some(text.into())
    }

    fn read_file(&self, file: &str) -> std::io::Result<String> {
        let path = self.source.folder.join(file);
        let text = std::fs::read_to_string(&path);
        let digest = text.as_ref().ok().map(|text| Digest::of(text.as_bytes()));
        self.source.noted.borrow_mut().secret_files.insert(path, digest);
        text
    }

    /// Notes that this table is a connection, which said `settings`; after its secrets were taken.
    pub fn note_connection(&self, settings: &str) {
        self.source.noted.borrow_mut().note_connection(&self.path, settings);
    }

    /// Notes something that a connection's settings mean besides what stands in its table.
    pub fn note_more(&self, connection: &str, meaning: &str) {
        self.source.noted.borrow_mut().note_more(connection, meaning);
    }

    /// Says that a subtable is known, and takes it.
    pub fn table(&mut self, key: &'static str) -> Option<(Table, Place)> {
        let node = self.take(key)?;
        match node.value {
            Value::Table(table) => Some((table, node.place)),
            _ => {
                self.report(key, Some(&node.place), "is not a table", format!("write [{key}]"));
                None
            }
        }
    }

    /// Reads a subtable, with problems going to the same list.
    pub fn sub<'b>(&'b mut self, name: &str, place: Place, table: Table) -> Reader<'b> {
        let path = self.path_of(name);
        Reader { path, place, table, known: Vec::new(), source: self.source, problems: self.problems }
    }

    /// Ends the table: whatever was not asked for is unknown.
    pub fn end(mut self) {
        let left: Vec<_> = std::mem::take(&mut self.table).into_iter().collect();
        for (key, node) in left {
            let nearest = nearest(&key, &self.known);
            let remedy = nearest.map_or_else(
                || format!("known here: {}", self.known.join(", ")),
                |known| format!("did you mean \"{known}\"?"),
            );
            self.report(&key, Some(&node.place), "is not a key that this version knows", remedy);
        }
    }
}

/// A length of time in the largest unit that it is a multiple of, as the file has them.
fn spelled(time: Duration) -> String {
    let milliseconds = time.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.iter().find(|(length, _)| milliseconds > 0 && milliseconds.is_multiple_of(*length));
    unit.map_or_else(|| format!("{milliseconds}ms"), |(length, name)| format!("{}{name}", milliseconds / length))
}

/// Whether a file is not there yet, or empty, as one that `register` was killed beside.
fn is_to_come(file: &Path) -> bool {
    match std::fs::metadata(file) {
        Ok(held) => held.is_file() && held.len() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(domain)) => domain == "localhost",
        None => false,
    }
}

/// A length of time as it is written: `500ms`, `8s`, `5m`, `48h`, `2d`. None if it is none.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit.trim() {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        "d" => seconds(86_400),
        _ => None,
    }
}

/// The known key that differs least, if it differs little.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let distance = |known: &&&'static str| strsim::damerau_levenshtein(key, known);
    known.iter().min_by_key(distance).filter(|known| distance(known) <= 3 && distance(known) < known.len()).copied()
}
