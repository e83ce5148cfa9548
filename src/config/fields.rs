//! Where a field's value comes from: a path, a literal, or a template.

use super::model::{FieldSource, TemplatePart};

/// Reads `profile.firstName`, `=Yes` or `{profile.firstName} {profile.lastName}`.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<FieldSource, &'static str> {
    if let Some(literal) = text.strip_prefix('=') {
        return Ok(FieldSource::Literal(literal.to_owned()));
    }
    if !text.contains(['{', '}']) {
        return path(text).map(FieldSource::Path);
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(open) = rest.find('{') else {
            if rest.contains('}') {
                return Err("has a closing brace without an opening one");
            }
            parts.push(TemplatePart::Text(rest.to_owned()));
            break;
        };
        let (before, after) = rest.split_at(open);
        if before.contains('}') {
            return Err("has a closing brace without an opening one");
        }
        if !before.is_empty() {
            parts.push(TemplatePart::Text(before.to_owned()));
        }
        let (inner, after) = after[1..].split_once('}').ok_or("has an opening brace without a closing one")?;
        parts.push(TemplatePart::Path(path(inner)?));
        rest = after;
    }
    Ok(FieldSource::Template(parts))
}

fn path(text: &str) -> Result<Vec<String>, &'static str> {
    let keys: Vec<_> = text.trim().split('.').map(ToOwned::to_owned).collect();
    let is_key = |key: &String| !key.is_empty() && !key.contains(|c: char| c.is_whitespace() || c == '{');
    if keys.iter().all(is_key) { Ok(keys) } else { Err("is not a path in the account") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(path: &str) -> Vec<String> {
        path.split('.').map(ToOwned::to_owned).collect()
    }

    #[test]
    fn paths_literals_and_templates() {
        assert_eq!(parse("profile.firstName"), Ok(FieldSource::Path(keys("profile.firstName"))));
        assert_eq!(parse("UID"), Ok(FieldSource::Path(keys("UID"))));
        assert_eq!(parse("=Yes"), Ok(FieldSource::Literal("Yes".into())));
        assert_eq!(parse("="), Ok(FieldSource::Literal(String::new())));
        let parts = vec![
            TemplatePart::Path(keys("profile.firstName")),
            TemplatePart::Text(" ".into()),
            TemplatePart::Path(keys("profile.lastName")),
            TemplatePart::Text("!".into()),
        ];
        assert_eq!(parse("{profile.firstName} {profile.lastName}!"), Ok(FieldSource::Template(parts)));
    }

    #[test]
    fn what_is_none_of_them() {
        for text in ["", " ", "a..b", ".a", "a b", "{", "}", "{a", "a}", "{}", "{a}}", "{a{b}"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
