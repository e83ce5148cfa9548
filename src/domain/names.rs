//! Names of things on both sides, each its own type so that none is taken for another.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is.
            #[must_use]
            pub fn new(text: &str) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of a connection in the configuration (`main` in `[gigya.main]`), unique among its kind.
    ConnectionName
}
name! {
    /// A subscription in Gigya: the path below `subscriptions`, dotted where nested, without the channel
    /// (`newsletter`, `pets.canine`).
    SubscriptionId
}
name! {
    /// Where an ESP keeps a subscription, in the ESP's own notation: a Campaign Monitor list id, ...
    Audience
}

/// A Gigya account's UID.
///
/// A site can choose its own UIDs, and some choose the address: `Debug` hides it as it does an [`super::Email`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(Arc<str>);

impl Uid {
    /// Takes a UID; `None` for an empty one, which Gigya never gives.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The UID, for sending it to a system that must have it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Uid(hidden)")
    }
}
