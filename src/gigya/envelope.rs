//! What an answer of Gigya's says of itself, whatever else is in it.

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// How a call went, and what Gigya calls it.
#[derive(Default, Deserialize)]
pub struct Envelope<'a> {
    #[serde(rename = "errorCode", default)]
    pub error_code: Option<i64>,
    #[serde(rename = "callId", default)]
    pub call_id: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    /// Of an answer that is read to its end here; `None` if it isn't one.
    pub fn of(answer: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(answer).ok()
    }

    /// Of an answer that is read to its end by whoever wants what is in it: an account is long, and this stands before it.
    /// `None` if it isn't an answer as far as it was read.
    pub fn before(answer: &'a [u8]) -> Option<Self> {
        let mut envelope = Self::default();
        let read = serde_json::Deserializer::from_slice(answer).deserialize_map(Head(&mut envelope));
        // To the parser, an object that is left before its end is an error, too.
        (read.is_ok() || envelope.is_complete()).then_some(envelope)
    }

    const fn is_complete(&self) -> bool {
        self.error_code.is_some() && self.call_id.is_some()
    }
}

/// Reads until an envelope is complete.
struct Head<'e, 'a>(&'e mut Envelope<'a>);

/// A member's name, borrowed where it needs no unescaping.
#[derive(Deserialize)]
pub struct Name<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl<'a> Visitor<'a> for Head<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while !self.0.is_complete() {
            let Some(Name(name)) = map.next_key()? else { return Ok(()) };
            match &*name {
                "errorCode" if self.0.error_code.is_some() => return Err(A::Error::duplicate_field("errorCode")),
                "callId" if self.0.call_id.is_some() => return Err(A::Error::duplicate_field("callId")),
                "errorCode" => self.0.error_code = map.next_value()?,
                "callId" => self.0.call_id = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_an_account_is_read_and_no_further() {
        for answer in [
            r#"{"callId":"c","errorCode":0,"profile":{"a":[1]}}"#,
            r#"{"profile":{"a":[1]},"errorCode":0,"x":null,"callId":"c"}"#,
            r#"{"callId":"c","errorCode":0,"profile":"#,
        ] {
            let envelope = Envelope::before(answer.as_bytes()).unwrap();
            assert_eq!((envelope.error_code, envelope.call_id), (Some(0), Some("c")), "{answer}");
        }
    }

    #[test]
    fn without_a_call_id_it_is_read_to_its_end() {
        let envelope = Envelope::before(br#"{"errorCode":403005,"errorMessage":"Unauthorized user"}"#).unwrap();
        assert_eq!((envelope.error_code, envelope.call_id), (Some(403_005), None));
        assert!(Envelope::before(br#"{"errorCode":0,"profile":"#).is_none());
    }

    #[test]
    fn what_is_no_answer_has_none() {
        for other in ["", "<html>", r#"{"errorCode":"0","callId":"c"}"#, r#"{"errorCode":0,"errorCode":1}"#] {
            assert!(Envelope::before(other.as_bytes()).is_none(), "{other}");
            assert!(Envelope::of(other.as_bytes()).is_none(), "{other}");
        }
        assert!(Envelope::before(b"[]").is_none());
        let nothing = Envelope::before(b"{}").unwrap();
        assert_eq!((nothing.error_code, nothing.call_id), (None, None));
    }
}
