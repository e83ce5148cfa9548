//! What is written beside an opt-in that the gateway brings from an ESP.

use super::tree::Part;
use crate::config::Route;
use crate::domain::SubscriptionId;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How long after the gateway's own write Gigya's record of it may be timed, and be taken for it.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(2);
/// The same where the tag lets somebody be mailed: not so long that they could have opted out and asked again meanwhile.
const SHORT_TOLERANCE: SignedDuration = SignedDuration::from_secs(20);
/// How a tag of the gateway begins.
const PREFIX: &str = "esp-opt-in:";
/// What follows the times of an opt-in that Gigya is to have confirmed, and then where it was made.
const UNCONFIRMED: &str = "/unconfirmed-";

/// When a person opted in at an ESP, written beside the opt-in as a tag of the subscription.
///
/// Gigya times a change of subscription by when it was written, and a late callback writes late. Without the
/// tag, an opt-out that the person made in between would look older than the opt-in, and be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptInTag {
    /// When the person acted, at the earliest.
    pub acted: Timestamp,
    /// When the gateway wrote it.
    pub written: Timestamp,
    /// Who confirms it.
    pub confirmed: Confirmed,
}

/// Who has a person confirm what they asked for at an ESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// The ESP did, so that Gigya's own double opt-in needn't be awaited.
    AtTheEsp,
    /// Gigya, where it asks for that. Until then the opt-in counts nowhere but where it was made.
    InGigya(PlaceMark),
}

/// An audience of an ESP, as tags name it: by a part of a hash, as what characters a tag may have isn't documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceMark([u8; 4]);

impl PlaceMark {
    /// That of the audience that a route leads to.
    #[must_use]
    pub fn of(route: &Route) -> Self {
        let digest: [u8; 32] = Sha256::digest(format!("{}/{}", route.esp, route.audience)).into();
        let [a, b, c, d, ..] = digest;
        Self([a, b, c, d])
    }
}

impl OptInTag {
    /// The tag's text.
    #[must_use]
    pub fn to_text(self) -> String {
        let Self { acted, written, confirmed } = self;
        let times = format!("{PREFIX}{acted:.3}/{written:.3}");
        match confirmed {
            Confirmed::AtTheEsp => times,
            Confirmed::InGigya(PlaceMark(mark)) => format!("{times}{UNCONFIRMED}{}", hex::encode(mark)),
        }
    }

    /// What a subscription's channel is to say: opted in, with this tag beside those of others.
    pub(super) fn opt_in<'a>(self, beside: impl Iterator<Item = &'a str>) -> Value {
        let others = beside.filter(|text| !text.starts_with(PREFIX)).map(ToOwned::to_owned);
        let tags: Vec<String> = others.chain([self.to_text()]).collect();
        match self.confirmed {
            // Else Gigya would ask by mail for what was confirmed already (SAP, "Subscriptions Object").
            Confirmed::AtTheEsp => {
                json!({ "isSubscribed": true, "tags": tags, "doubleOptIn": { "isExternallyVerified": true } })
            }
            Confirmed::InGigya(_) => json!({ "isSubscribed": true, "tags": tags }),
        }
    }

    /// The `subscriptions` parameter that opts somebody in of whom nothing is known yet.
    #[must_use]
    pub fn first_subscription(self, id: &SubscriptionId) -> Value {
        json!({ id.as_str(): { "email": self.opt_in(std::iter::empty()) } })
    }

    fn parse(text: &str) -> Option<Self> {
        let (acted, rest) = text.strip_prefix(PREFIX)?.split_once('/')?;
        let (written, confirmed) = match rest.split_once(UNCONFIRMED) {
            None => (rest, Confirmed::AtTheEsp),
            Some((written, mark)) => {
                let mut bytes = [0; 4];
                hex::decode_to_slice(mark, &mut bytes).ok()?;
                (written, Confirmed::InGigya(PlaceMark(bytes)))
            }
        };
        Some(Self { acted: acted.parse().ok()?, written: written.parse().ok()?, confirmed })
    }
}

/// Whether the opt-in that stands there was made at a place, and is Gigya's to have confirmed.
pub(super) fn was_made_at(place: PlaceMark, state: Part<'_>, updated: Option<Timestamp>) -> bool {
    let tag = of_this_change(state, updated).filter(|tag| tag.confirmed == Confirmed::InGigya(place));
    tag.zip(updated).is_some_and(|(tag, updated)| updated.duration_since(tag.written).abs() <= SHORT_TOLERANCE)
}

/// The gateway's own tag in a subscription's state, if the state's time says that it is about this very change.
pub(super) fn of_this_change(state: Part<'_>, updated: Option<Timestamp>) -> Option<OptInTag> {
    let tags = state.get("tags")?.items().filter_map(Part::as_str);
    let tag = tags.filter_map(OptInTag::parse).last()?;
    let apart = updated?.duration_since(tag.written).abs();
    (apart <= TOLERANCE).then_some(tag)
}
