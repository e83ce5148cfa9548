//! What described ESPs can do: read from their descriptions.

use crate::config::http::{Happening, Http as Settings, Verification};
use crate::config::shipped;
use crate::domain::OptOutReason;
use crate::esp::Offer;

/// Whether something is of a kind.
type Is = fn(Happening) -> bool;

/// The shipped ones, and what one describes oneself.
pub fn offers() -> Vec<Offer> {
    let shipped = shipped::all().into_iter().map(|(name, settings)| of(name, &settings));
    shipped.chain(std::iter::once(own())).collect()
}

fn of(name: &str, settings: &Settings) -> Offer {
    let operations = &settings.operations;
    let mut writes = vec!["subscribe", "unsubscribe"];
    writes.extend(operations.update.as_ref().map(|_| "update"));
    let mut removal = Vec::new();
    removal.extend(operations.delete.as_ref().map(|_| "delete"));
    removal.push("unsubscribe");
    removal.extend(operations.suppress.as_ref().map(|_| "suppress"));
    let means: Vec<Happening> =
        settings.callback.iter().flat_map(|callback| &callback.kinds).map(|kind| kind.means).collect();
    let kinds: [(&'static str, Is); 4] = [
        ("opt-outs", |means| matches!(means, Happening::OptedOut(reason) if reason != OptOutReason::Bounced)),
        ("opt-ins", |means| means == Happening::OptedIn),
        ("bounces", |means| means == Happening::OptedOut(OptOutReason::Bounced)),
        ("changes", |means| matches!(means, Happening::Changed | Happening::Look)),
    ];
    Offer {
        title: settings.title.clone(),
        table: format!("[http.NAME] provider = \"{name}\""),
        writes,
        removal,
        tells: kinds
            .iter()
            .filter(|(_, is_it)| means.iter().any(|means| is_it(*means)))
            .map(|(name, _)| *name)
            .collect(),
        verified_by: settings.callback.as_ref().map_or("", |callback| verified_by(&callback.verification)).to_owned(),
        reconcile: !settings.lists.is_empty(),
        limits: settings.about.clone(),
    }
}

/// How a scheme is called in a table.
fn verified_by(verification: &Verification) -> &'static str {
    match verification {
        Verification::UrlToken => "token in the URL",
        Verification::Bearer { .. } => "token in a header",
        Verification::Basic => "user and password",
        Verification::Hmac { sha1: true, .. } => "HMAC-SHA1",
        Verification::Hmac { .. } => "HMAC-SHA256",
        Verification::StandardWebhooks { .. } => "Standard Webhooks",
        Verification::Ecdsa { .. } => "ECDSA",
    }
}

fn own() -> Offer {
    Offer {
        title: "Any other, as you describe it".to_owned(),
        table: "[http.NAME]".to_owned(),
        writes: vec!["subscribe", "unsubscribe", "update"],
        removal: vec!["delete", "unsubscribe", "suppress"],
        tells: vec!["opt-outs", "opt-ins", "bounces", "changes"],
        verified_by: "HMAC, ECDSA, Standard Webhooks, or a token".to_owned(),
        reconcile: true,
        limits: "as far as its API has it; docs/any-esp.md".to_owned(),
    }
}
