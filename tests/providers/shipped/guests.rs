//! The systems, and what is true of each.

use gigya_esp_gateway::sandbox::braze::BrazeSettings;
use gigya_esp_gateway::sandbox::brevo::BrevoSettings;
use gigya_esp_gateway::sandbox::klaviyo::KlaviyoSettings;
use gigya_esp_gateway::sandbox::mailchimp::MailchimpSettings;
use gigya_esp_gateway::sandbox::sendgrid::SendgridSettings;
use gigya_esp_gateway::sandbox::shipped::{Shipped, System};

/// What is true of a system, and isn't of all.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// Who left by a link comes back by a newer opt-in at Gigya.
    pub comes_back_after_link: bool,
    /// Who opted out at Gigya comes back by a newer opt-in there.
    pub comes_back: bool,
    /// That somebody was deleted there is told.
    pub tells_deletions: bool,
    /// An opt-in by a form there is told, as one.
    pub tells_opt_ins: bool,
    /// A bounce is told of as one.
    pub tells_bounces: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    Brevo,
    Mailchimp,
    Sendgrid,
    Klaviyo,
    Braze,
}

impl Provider {
    pub const ALL: [Self; 5] = [Self::Brevo, Self::Mailchimp, Self::Sendgrid, Self::Klaviyo, Self::Braze];

    pub const fn traits(self) -> Traits {
        let all = Traits {
            comes_back_after_link: true,
            comes_back: true,
            tells_deletions: true,
            tells_opt_ins: true,
            tells_bounces: true,
        };
        match self {
            Self::Brevo => all,
            Self::Mailchimp => Traits { comes_back_after_link: false, ..all },
            Self::Sendgrid => {
                Traits { comes_back_after_link: false, tells_deletions: false, tells_opt_ins: false, ..all }
            }
            Self::Klaviyo => Traits { tells_deletions: false, tells_opt_ins: false, tells_bounces: false, ..all },
            Self::Braze => Traits { comes_back_after_link: false, comes_back: false, tells_deletions: false, ..all },
        }
    }

    pub fn shipped(self) -> Shipped {
        Shipped::new(match self {
            Self::Brevo => System::Brevo(BrevoSettings::default()),
            Self::Mailchimp => System::Mailchimp(MailchimpSettings::default()),
            Self::Sendgrid => System::Sendgrid(SendgridSettings::default()),
            Self::Klaviyo => System::Klaviyo(KlaviyoSettings::default()),
            Self::Braze => System::Braze(BrazeSettings::default()),
        })
    }
}
