//! Queries. What isn't ours is a quoted text in them, with what could end it escaped.
//!
//! Source: vendor page "Quoted String Escape Sequences" of the SOQL and SOSL Reference.

use crate::config::salesforce::{Salesforce as Settings, SalesforceAudience};

/// What is asked for of an audience's records, each field once.
pub fn columns(settings: &Settings, audience: &SalesforceAudience) -> Vec<String> {
    let object = audience.object;
    let boxes = [audience.opt_out_field.as_str(), object.standard_opt_out()];
    let own = ["Id", object.address_field(), boxes[0], boxes[1], &settings.uid_field, "LastModifiedDate"];
    let mapped = audience.fields.iter().map(String::as_str);
    let mut columns: Vec<String> = Vec::new();
    for name in own.into_iter().chain(settings.consent_time_field.as_deref()).chain(mapped) {
        if columns.iter().all(|known| !known.eq_ignore_ascii_case(name)) {
            columns.push(name.to_owned());
        }
    }
    columns
}

/// A query for an audience's records that fit.
pub fn select(settings: &Settings, audience: &SalesforceAudience, condition: &str) -> String {
    let columns = columns(settings, audience).join(", ");
    let belongs = audience.object.condition().map_or_else(String::new, |belongs| format!(" AND {belongs}"));
    format!("SELECT {columns} FROM {} WHERE ({condition}){belongs} ORDER BY Id", audience.object.name())
}

/// That a field has one of some values; none if there are no values.
pub fn is_one_of<'a>(field: &str, values: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let values: Vec<String> = values.into_iter().filter_map(quoted).collect();
    (!values.is_empty()).then(|| format!("{field} IN ({})", values.join(", ")))
}

/// A text in quotes; none if it has a character that no field could hold.
fn quoted(text: &str) -> Option<String> {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for c in text.chars() {
        match c {
            '\\' | '\'' => quoted.extend(['\\', c]),
            c if c.is_control() => return None,
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    Some(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_stays_a_text() {
        let tricky = "o'neill\\@example.org' OR Id != '";
        assert_eq!(is_one_of("Email", [tricky]).as_deref(), Some(r"Email IN ('o\'neill\\@example.org\' OR Id != \'')"));
        assert_eq!(is_one_of("Email", ["a\nb", "c"]).as_deref(), Some("Email IN ('c')"));
        assert_eq!(is_one_of("Email", []), None);
    }
}
