//! What an audience holds of somebody: by the external id that is the Gigya UID, and by address, in one query.

use super::client::Client;
use super::{soql, wire};
use crate::config::salesforce::{Salesforce as Settings, SalesforceAudience};
use crate::domain::{Email, Uid};
use crate::esp::{Record, Whom};
use crate::upstream::{Deadline, Fault};

/// The most values in one query: a URL has room for some 16,000 characters.
pub const AT_ONCE: usize = 50;

/// Every record of these people, once. Their UIDs differ by case where Salesforce doesn't tell them apart.
pub async fn find(
    (client, settings, audience): (&Client, &Settings, &SalesforceAudience),
    whom: &Whom<'_>,
    deadline: Deadline,
) -> Result<Vec<Record>, Fault> {
    let mut found: Vec<Record> = Vec::new();
    let conditions = [
        conditions(&settings.uid_field, whom.uids.iter().map(|uid| uid.expose())),
        conditions(audience.object.address_field(), whom.addresses.iter().map(|address| address.expose())),
    ];
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    // Of one person, both fit into one query.
    let queries = if conditions.len() == 2 { vec![conditions.join(" OR ")] } else { conditions };
    for condition in queries {
        let rows = client.query_all(&soql::select(settings, audience, &condition), deadline).await?;
        for row in &rows {
            let uid = wire::text_of(row, &settings.uid_field).and_then(|uid| Uid::new(&uid));
            let has_uid = uid.is_some_and(|uid| whom.uids.contains(&&uid));
            // Of whom Salesforce has no address, or none that is one, somebody may mend it later: they are found by their UID all the
            // same, under an address of theirs.
            let address = has_uid.then(|| whom.addresses.first().map_or_else(no_address, |first| (*first).clone()));
            let Some(record) = wire::record_at(settings, audience, row, address.as_ref()) else { continue };
            let is_theirs = has_uid || whom.addresses.contains(&&record.address);
            if is_theirs && found.iter().all(|known| known.key != record.key) {
                found.push(record);
            }
        }
    }
    Ok(found)
}

/// Stands for the address of somebody of whom neither side has one. Nobody has it (RFC 2606).
fn no_address() -> Email {
    Email::parse("no-address@example.invalid").expect("this is an address")
}

/// The same of many people at once.
pub async fn find_all(
    place: (&Client, &Settings, &SalesforceAudience),
    uids: &[&Uid],
    addresses: &[&Email],
    deadline: Deadline,
) -> Result<Vec<Record>, Fault> {
    let whom = Whom { uids: uids.to_vec(), addresses: addresses.to_vec(), fields: &[] };
    find(place, &whom, deadline).await
}

fn conditions<'a>(field: &str, values: impl Iterator<Item = &'a str>) -> Vec<String> {
    let values: Vec<&str> = values.collect();
    values.chunks(AT_ONCE).filter_map(|some| soql::is_one_of(field, some.iter().copied())).collect()
}
