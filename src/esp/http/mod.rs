//! Any ESP that can be described by data: calls as templates, answers by rules, callbacks by pointers (`config::http`).
//! Nothing in a description is executed.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `fill` | what comes into a template's places; calls made of it |
//! | `document` | what a JSON document says: pointers, conditions |
//! | `moment` | times, as precisely as they are told |
//! | `record` | what answers say of somebody, and what several of them amount to |
//! | `client` | the calls, and what their answers mean |
//! | `provider` | the `impl Esp` |
//! | `listing` | an audience as a whole, page by page |
//! | `callback` | what comes in |
//! | `body` | the same for the API document |
//! | `offer` | what the shipped ones can do |
//! | `setup` | what is proved over there, and what an operator enters there |

mod body;
mod callback;
mod client;
mod document;
mod fill;
mod listing;
mod moment;
mod offer;
mod provider;
mod record;
mod setup;

pub use offer::offers;
pub use provider::Described;
pub use setup::DescribedSetUp;

use super::{ProviderInfo, TokenInPath};

/// Described ESPs, for the edge and the API document.
pub const INFO: ProviderInfo = ProviderInfo {
    slug: "http",
    title: "HTTP",
    token: TokenInPath::Maybe,
    signature: None,
    callback: "Whatever the connection's description says: one event, or a list of them, as JSON or as a form. Verified as \
               the description says: by a token at the end of the path, a token or a signature in a header.",
    bodies: body::all,
};
