//! The page's document: `page.html`, with a section and a link for each ESP.

use crate::sandbox::{Sandbox, SimulatedEsp};

/// The document of a sandbox.
pub fn of(sandbox: &Sandbox) -> String {
    let esps: Vec<&dyn SimulatedEsp> = sandbox.esps.iter().map(AsRef::as_ref).collect();
    let of_each = |template: &str| esps.iter().map(|esp| filled(template, *esp)).collect::<String>();
    let names: Vec<_> = std::iter::once("Gigya").chain(esps.iter().map(|esp| esp.name())).collect();
    include_str!("page.html")
        .replace("{names}", &in_a_sentence(&names))
        .replace("{count}", if esps.len() == 1 { "Two" } else { "Three" })
        .replace("{others}", if esps.len() == 1 { "Gigya" } else { "Gigya, and then the other mail system," })
        .replace("{esps}", &esps.len().to_string())
        .replace("{links}", &of_each(" <a href=\"#{slug}\">{name}</a>"))
        .replace("{sections}", &of_each(include_str!("esp.html")))
}

fn filled(template: &str, esp: &dyn SimulatedEsp) -> String {
    template.replace("{slug}", esp.slug()).replace("{name}", esp.name())
}

/// `Gigya, this and that`
fn in_a_sentence(names: &[&str]) -> String {
    match names {
        [names @ .., last] if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        names => names.join(""),
    }
}
