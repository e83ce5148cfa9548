//! What the story, the page and the tests need of a simulated ESP, whichever it is: one audience of it, and what
//! happens to the people there.

mod campaign_monitor;
mod described;
mod marketing_cloud;

pub(super) use campaign_monitor::CampaignMonitorList;
pub(super) use described::DescribedAudience;
pub(super) use marketing_cloud::MarketingCloudAudience;

use super::{Courier, Faults};
use jiff::Timestamp;

/// One audience of a simulated ESP.
pub trait SimulatedEsp: Send + Sync {
    /// What people call the system.
    fn name(&self) -> &'static str;

    /// The same, for ids: small letters and hyphens.
    fn slug(&self) -> &'static str;

    /// How its API fails, and how often it was called.
    fn faults(&self) -> &Faults;

    /// What delivers its callbacks.
    fn courier(&self) -> &Courier;

    /// Everybody whom it holds.
    fn people(&self) -> Vec<Subscriber>;

    /// Everybody whom it holds at an address: at most one where the address is the key.
    fn at(&self, email: &str) -> Vec<Subscriber>;

    /// Somebody follows the unsubscribe link in a mail. Whether they could: only who is mailed has a link.
    fn unsubscribe_link(&self, email: &str) -> bool;

    /// A mail comes back for good. Whether one could.
    fn bounce(&self, email: &str) -> bool;

    /// A person at the company deletes the subscriber there. Whether there was one.
    fn delete(&self, email: &str) -> bool;

    /// Somebody subscribes by a form of this system, without Gigya. Whether they could.
    fn form_subscribe(&self, email: &str) -> bool;

    /// The one at an address: who is mailed, if anybody is.
    fn find(&self, email: &str) -> Option<Subscriber> {
        let mut all = self.at(email);
        all.sort_by_key(|subscriber| !subscriber.is_mailed());
        all.into_iter().next()
    }

    /// Whether the address is mailed.
    fn mails(&self, email: &str) -> bool {
        self.at(email).iter().any(Subscriber::is_mailed)
    }
}

/// A subscriber as a story, a page or a test wants to see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscriber {
    /// The address.
    pub email: String,
    /// The state, as the system calls it.
    pub state: &'static str,
    /// What that means.
    pub standing: Standing,
    /// Since when it is so, where the system tells.
    pub since: Option<Timestamp>,
    /// The first name.
    pub first_name: Option<String>,
    /// The Gigya UID.
    pub uid: Option<String>,
}

impl Subscriber {
    /// Whether they are mailed.
    #[must_use]
    pub fn is_mailed(&self) -> bool {
        self.standing == Standing::Mailed
    }
}

/// What a subscriber's state means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Is mailed.
    Mailed,
    /// Is mailed once they confirm.
    Unconfirmed,
    /// Isn't mailed, as mail came back.
    Bounced,
    /// Has opted out.
    OptedOut,
    /// Was deleted.
    Deleted,
}
