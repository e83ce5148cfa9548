//! Which media types a webhook may come as. Most senders' documentation leaves open what they say.

use super::NotTaken;
use http::{HeaderMap, header};

/// The media type that a request says it has, in small letters and without parameters; `None` if it says none.
///
/// # Errors
/// What it says isn't text.
pub fn essence(headers: &HeaderMap) -> Result<Option<String>, NotTaken> {
    let Some(stated) = headers.get(header::CONTENT_TYPE) else { return Ok(None) };
    let stated = stated.to_str().map_err(|_| NotTaken::MediaType)?;
    Ok(Some(stated.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()))
}

/// Whether it is JSON.
#[must_use]
pub fn is_json(essence: &str) -> bool {
    matches!(essence, "application/json" | "text/json") || essence.ends_with("+json")
}

/// Whether a connection takes other types, too, and this is one of them.
#[must_use]
pub fn is_one_of(essence: &str, also: &[String]) -> bool {
    also.iter().any(|accepted| accepted.eq_ignore_ascii_case(essence))
}

/// Takes JSON, what says nothing, and what the connection takes besides.
///
/// # Errors
/// [`NotTaken::MediaType`] for anything else.
pub fn takes_json(headers: &HeaderMap, also: &[String]) -> Result<(), NotTaken> {
    match essence(headers)? {
        Some(stated) if !is_json(&stated) && !is_one_of(&stated, also) => Err(NotTaken::MediaType),
        _ => Ok(()),
    }
}
