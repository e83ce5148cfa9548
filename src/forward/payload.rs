//! How an event is written to the journal, and read from it: enough to work on it again. What it is about is read anew
//! then, on both sides; nothing here is ever taken for the present state.

use crate::domain::{ActedAt, Audience, ConnectionName, Email, OptOutReason, Uid};
use crate::esp::{News, Notice, What};
use crate::gigya::Subject;
use crate::journal::Person;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An event as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Payload {
    /// An account at Gigya changed or was deleted.
    Account {
        /// Its UID.
        uid: Option<String>,
        /// A UID that it had before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former_uid: Option<String>,
        /// Of an email account: the token that stands for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// Whether Gigya said that it was deleted.
        #[serde(default)]
        deleted: bool,
        /// The site.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        api_key: Option<String>,
        /// The events that told.
        events: Vec<Told>,
    },
    /// Something happened to a subscriber at an ESP.
    Subscriber {
        /// The event's id.
        event: String,
        /// The audiences.
        audiences: Vec<String>,
        /// The address after it.
        address: String,
        /// The address before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former_address: Option<String>,
        /// The UID that was written to the subscriber.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<String>,
        /// What happened.
        what: Happened,
    },
    /// What can't be understood; trying it again won't help.
    NotUnderstood {
        /// The event's id, if it had one.
        event: String,
        /// What it said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<String>,
    },
}

/// One event of Gigya's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its id.
    pub id: String,
    /// When it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub happened: Option<Timestamp>,
}

/// What happened to a subscriber, and when: not before, not after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// Opted in.
    OptedIn {
        /// Not before.
        earliest: Option<Timestamp>,
        /// Not after.
        latest: Option<Timestamp>,
    },
    /// Opted out.
    OptedOut {
        /// Not before.
        earliest: Option<Timestamp>,
        /// Not after.
        latest: Option<Timestamp>,
        /// How.
        reason: OptOut,
    },
    /// Something else changed.
    Changed {
        /// Whether the subscriber is said to be opted in still.
        opted_in: bool,
    },
}

/// How somebody opted out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptOut {
    /// The person said stop.
    Unsubscribed,
    /// A mail was reported as spam.
    Complained,
    /// Mail came back.
    Bounced,
    /// The record was deleted.
    Deleted,
    /// The address is suppressed.
    Suppressed,
    /// In another way.
    Other,
}

impl Payload {
    /// As it is written.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and times can be written as JSON")
    }

    /// As it was written; `None` if it wasn't by this.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// An account that changed.
    pub fn of_account(subject: &Subject, api_key: Option<String>, events: Vec<Told>) -> Self {
        let (uid, former_uid, token) = match subject {
            Subject::Account { uid, formerly } => (Some(uid), formerly.as_ref(), None),
            Subject::EmailAccount { token } => (None, None, Some(token.clone())),
        };
        let text = |uid: &Uid| uid.expose().to_owned();
        let (uid, former_uid) = (uid.map(text), former_uid.map(text));
        Self::Account { uid, former_uid, token, deleted: false, api_key, events }
    }

    /// An account that was deleted.
    pub fn of_deleted(uid: &Uid, api_key: Option<String>, events: Vec<Told>) -> Self {
        let uid = Some(uid.expose().to_owned());
        Self::Account { uid, former_uid: None, token: None, deleted: true, api_key, events }
    }

    /// A notice of an ESP's.
    pub fn of_notice(notice: &Notice) -> Self {
        let Ok(news) = &notice.news else {
            return Self::NotUnderstood { event: notice.id.clone(), said: notice.said.clone() };
        };
        Self::Subscriber {
            event: notice.id.clone(),
            audiences: notice.audiences.iter().map(|audience| audience.as_str().to_owned()).collect(),
            address: news.address.expose().to_owned(),
            former_address: news.former_address.as_ref().map(|address| address.expose().to_owned()),
            uid: news.uid.as_ref().map(|uid| uid.expose().to_owned()),
            what: news.what.into(),
        }
    }

    /// Whom it is about, if it came from this connection.
    pub fn person(&self, connection: &str) -> Person {
        let account = |uid: &Option<String>| {
            let uid = uid.as_deref().and_then(Uid::new)?;
            Some((ConnectionName::new(connection), uid))
        };
        match self {
            Self::Account { uid, .. } => Person { account: account(uid), address: None },
            Self::Subscriber { address, .. } => Person { account: None, address: Email::parse(address).ok() },
            Self::NotUnderstood { .. } => Person::default(),
        }
    }

    /// The notice; `None` if it is none.
    pub fn to_notice(&self) -> Option<Notice> {
        let Self::Subscriber { event, audiences, address, former_address, uid, what } = self else { return None };
        let news = News {
            address: Email::parse(address).ok()?,
            former_address: former_address.as_ref().and_then(|address| Email::parse(address).ok()),
            uid: uid.as_deref().and_then(Uid::new),
            what: (*what).into(),
        };
        let audiences = audiences.iter().map(|audience| Audience::new(audience)).collect();
        Some(Notice { id: event.clone(), audiences, news: Ok(news), said: None })
    }
}

impl From<What> for Happened {
    fn from(what: What) -> Self {
        match what {
            What::OptedIn { at } => Self::OptedIn { earliest: at.earliest(), latest: at.latest() },
            What::OptedOut { at, reason } => {
                Self::OptedOut { earliest: at.earliest(), latest: at.latest(), reason: reason.into() }
            }
            What::Changed { opted_in } => Self::Changed { opted_in },
        }
    }
}

impl From<Happened> for What {
    fn from(happened: Happened) -> Self {
        match happened {
            Happened::OptedIn { earliest, latest } => Self::OptedIn { at: ActedAt::within(earliest, latest) },
            Happened::OptedOut { earliest, latest, reason } => {
                Self::OptedOut { at: ActedAt::within(earliest, latest), reason: reason.into() }
            }
            Happened::Changed { opted_in } => Self::Changed { opted_in },
        }
    }
}

macro_rules! same {
    ($($variant:ident)+) => {
        impl From<OptOutReason> for OptOut {
            fn from(reason: OptOutReason) -> Self {
                match reason { $(OptOutReason::$variant => Self::$variant,)+ }
            }
        }

        impl From<OptOut> for OptOutReason {
            fn from(reason: OptOut) -> Self {
                match reason { $(OptOut::$variant => Self::$variant,)+ }
            }
        }
    };
}

same! { Unsubscribed Complained Bounced Deleted Suppressed Other }

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_notice_comes_back_as_it_was() {
        let times =
            [ActedAt::UNKNOWN, ActedAt::exactly(at(5)), ActedAt::between(at(1), at(9)), ActedAt::no_later_than(at(3))];
        let reason = OptOutReason::Complained;
        let whats = times.into_iter().flat_map(|at| [What::OptedIn { at }, What::OptedOut { at, reason }]);
        for what in whats.chain([What::Changed { opted_in: true }, What::Changed { opted_in: false }]) {
            let news = News {
                address: Email::parse("ann@example.org").unwrap(),
                former_address: Email::parse("old@example.org").ok(),
                uid: Uid::new("u1"),
                what,
            };
            let audiences = vec![Audience::new("a1"), Audience::new("a2")];
            let notice = Notice { id: "e1".to_owned(), audiences, news: Ok(news), said: None };
            let payload = Payload::parse(&Payload::of_notice(&notice).to_bytes()).unwrap();
            let back = payload.to_notice().unwrap();
            assert_eq!((&back.id, &back.audiences), (&notice.id, &notice.audiences));
            let (back, news) = (back.news.unwrap(), notice.news.unwrap());
            assert_eq!((back.address, back.former_address, back.uid), (news.address, news.former_address, news.uid));
            assert_eq!(back.what, news.what);
        }
    }

    #[test]
    fn an_account_comes_back_as_it_was() {
        let events = vec![Told { id: "e1".to_owned(), happened: Some(at(7)) }];
        let subject = Subject::Account { uid: Uid::new("new").unwrap(), formerly: Uid::new("old") };
        let payload = Payload::of_account(&subject, Some("4_x".to_owned()), events);
        assert_eq!(Payload::parse(&payload.to_bytes()), Some(payload));
        assert_eq!(Payload::parse(b"{}"), None);
    }
}
