//! Which call it was that changed something over there: clients note the id that the system gave a write, and whoever
//! had it made gets the last one. Like a span, it goes along with the work without being handed on.

use std::cell::Cell;
use std::fmt;

/// The most bytes of an id that are kept; Gigya's and Marketing Cloud's have 32 and 36.
const LONGEST: usize = 47;

/// A system's own id of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CallId {
    length: u8,
    bytes: [u8; LONGEST],
}

impl CallId {
    /// Takes an id; `None` for one that is no plain word, or too long to be one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_word =
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'));
        let length = u8::try_from(text.len()).ok()?;
        if !is_word || text.is_empty() || text.len() > LONGEST {
            return None;
        }
        let mut bytes = [0; LONGEST];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self { length, bytes })
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

tokio::task_local! {
    static LAST: Cell<Option<CallId>>;
}

/// Does some work, and says which call was the last of it that changed something.
pub async fn followed<T>(work: impl Future<Output = T>) -> (T, Option<CallId>) {
    LAST.scope(Cell::new(None), async {
        let done = work.await;
        (done, LAST.with(Cell::get))
    })
    .await
}

/// A call changed something; the system calls it so.
pub fn note(id: Option<&str>) {
    if let Some(id) = id.and_then(CallId::new) {
        let _ = LAST.try_with(|last| last.set(Some(id)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_id_that_was_noted_comes_along() {
        let (done, id) = followed(async {
            note(Some("first"));
            tokio::task::yield_now().await;
            note(Some("a1b2-c3"));
            note(Some("not a word"));
            note(None);
            7
        })
        .await;
        assert_eq!((done, id.unwrap().as_str()), (7, "a1b2-c3"));
        assert_eq!(followed(async {}).await.1, None);
        note(Some("nobody-follows"));
    }

    #[tokio::test]
    async fn work_side_by_side_is_kept_apart() {
        let one = followed(async {
            tokio::task::yield_now().await;
            note(Some("one"));
            1
        });
        let other = followed(async {
            note(Some("other"));
            2
        });
        let ((1, Some(one)), (2, Some(other))) = tokio::join!(one, other) else { panic!("two were followed") };
        assert_eq!((one.as_str(), other.as_str()), ("one", "other"));
    }

    #[test]
    fn what_is_no_word_is_no_id() {
        for text in ["", "ann@example.org", "two words", "<b>", &"x".repeat(48)] {
            assert_eq!(CallId::new(text), None);
        }
        assert_eq!(CallId::new("0f3c9d5c1b7e4a55a1b2c3d4e5f60718").unwrap().as_str().len(), 32);
    }
}
