//! Marketing Cloud's answers, SOAP and REST, to looks and to every kind of write. If the first part is `tokens`, those for
//! tokens are among them.

#![no_main]

use fuzzing::{Answers, deadline, esp, parts, person, run};
use gigya_esp_gateway::domain::{Audience, Consent, RemovalKind};
use gigya_esp_gateway::esp::{Esp, FieldValue, Leftover, Record, RecordKey, Whom, Written};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

const AUDIENCES: [&str; 2] = ["publication-list:69238+data-extension:PROFILES", "publication-list:70001"];
/// What an answer must hold at least for an opt-out to have been taken, or to have nobody left to take it for.
const TAKEN: [&str; 9] = ["ok", "12001", "12009", "12015", "13007", "401", "12012", "12003", "12014"];

fuzz_target!(|input: &[u8]| {
    let mut parts = parts(input);
    let tokens = parts[0] == b"tokens";
    if tokens {
        parts.remove(0);
    }
    // Each with the same answers from the beginning, at an ESP that nothing is known of.
    let fresh = || {
        let answers = Answers::new(&parts);
        let answers = Arc::new(if tokens { answers.nothing_fixed() } else { answers });
        (esp("crm", answers.transport()), answers)
    };
    let ann = person(&[("City", FieldValue::Text("Riga".to_owned()))]);
    let whom = Whom { uids: vec![&ann.uid], addresses: vec![&ann.address], fields: &ann.fields };
    run(async {
        for audience in AUDIENCES.map(Audience::new) {
            let (crm, _) = fresh();
            let found = crm.find(&audience, &whom, deadline()).await.unwrap_or_default();
            let known = Record {
                key: RecordKey("u-ann".into()),
                address: ann.address.clone(),
                consent: Consent::Unknown,
                uid: Some(ann.uid.clone()),
                fields: Vec::new(),
                levels: Vec::new(),
                leftover: Leftover::Nothing,
            };
            for record in found.iter().take(2).chain([&known]) {
                let _ = crm.differs(&audience, record, &ann);
                let (crm, answers) = fresh();
                let done = crm.opt_out(&audience, record, deadline()).await;
                let asked = answers.asked().len();
                assert!(done != Ok(Written::Done) || asked == 0 || says_so(&parts), "an opt-out that nobody took");
                // Who is out already isn't written out again; a status that isn't known counts as out.
                let is_out = matches!(record.consent, Consent::OptedOut { .. });
                assert!(is_out || done != Ok(Written::Done) || asked > 0, "an opt-out that nobody was told");
                others(&fresh, &audience, record, &ann).await;
            }
        }
    });
});

fn says_so(parts: &[&[u8]]) -> bool {
    let said = String::from_utf8_lossy(&parts.concat()).to_ascii_lowercase();
    // Written in another way, it may say anything.
    said.contains('&') || said.contains("<![cdata[") || TAKEN.iter().any(|word| said.contains(word))
}

async fn others(
    fresh: &impl Fn() -> (Arc<dyn Esp>, Arc<Answers>),
    audience: &Audience,
    record: &Record,
    ann: &gigya_esp_gateway::esp::Person,
) {
    for over in [false, true] {
        let _ = fresh().0.opt_in(audience, Some(record), ann, over, deadline()).await;
    }
    let _ = fresh().0.opt_in(audience, None, ann, false, deadline()).await;
    let _ = fresh().0.update(audience, record, ann, deadline()).await;
    for kind in [RemovalKind::Delete, RemovalKind::Unsubscribe] {
        let _ = fresh().0.remove(audience, record, kind, deadline()).await;
    }
    let _ = fresh().0.discard(audience, record, deadline()).await;
}
