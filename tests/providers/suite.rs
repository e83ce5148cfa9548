//! The suite: stories that end the same with every provider.

use crate::contract::{self, Held, Port};
use gigya_esp_gateway::sandbox::{Attempt, Sandbox, Setup, SimulatedEsp};
use jiff::SignedDuration;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

const NEWSLETTER: &str = "newsletter";
/// So that times that are told by the second differ. Not much longer: the gateway's own clock stands still meanwhile.
const A_WHILE: SignedDuration = SignedDuration::from_secs(2);

/// A provider, and what is particular of it.
pub struct Provider {
    pub setup: Setup,
    /// Whether it tells no time of an opt-out, so that no opt-in can be newer.
    pub an_opt_out_is_final: bool,
    /// Whether it keeps out, and says so, who left by a link of its own.
    pub keeps_out_who_left: bool,
    /// Whether it tells of opt-ins.
    pub tells_opt_ins: bool,
    /// Whether the record that a form makes can't get a UID, and is mailed beside one that has it and isn't.
    pub keeps_the_forms_record: bool,
}

impl Provider {
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            an_opt_out_is_final: false,
            keeps_out_who_left: false,
            tells_opt_ins: true,
            keeps_the_forms_record: false,
        }
    }
}

/// A town with Gigya, the one ESP, and the gateway between them.
pub struct Town {
    pub sandbox: Sandbox,
    attempts: broadcast::Receiver<Attempt>,
}

impl Town {
    pub async fn of(provider: Provider) -> Self {
        let sandbox = Sandbox::start(provider.setup, Held::default()).await.unwrap();
        assert_eq!(sandbox.esps.len(), 1);
        let attempts = sandbox.attempts.subscribe();
        Self { sandbox, attempts }
    }

    pub fn esp(&self) -> &Arc<dyn SimulatedEsp> {
        &self.sandbox.esps[0]
    }

    pub fn mails(&self, name: &str) -> bool {
        self.esp().mails(&address(name))
    }

    pub fn gigya_says(&self, uid: &str) -> Option<bool> {
        self.sandbox.gigya.is_subscribed(uid, NEWSLETTER)
    }

    pub async fn quiet(&self) {
        assert!(self.sandbox.settled(Duration::from_secs(30)).await, "webhooks are never done");
    }

    pub fn a_while_passes(&self) {
        self.sandbox.clock.advance(A_WHILE);
    }

    /// Somebody who is opted in on both sides.
    pub async fn subscriber(&mut self, name: &str) -> String {
        let uid = self.sandbox.gigya.sign_up(&address(name), name);
        self.sandbox.gigya.subscribe(&uid, NEWSLETTER);
        self.quiet().await;
        assert!(self.mails(name), "{name} is subscribed: {:?}", self.outcomes());
        self.a_while_passes();
        self.outcomes();
        uid
    }

    /// Whatever became of events since the last time: `applied`, `skipped:newer_opt_out`, ...
    pub fn outcomes(&mut self) -> Vec<String> {
        let mut outcomes = Vec::new();
        for answer in std::iter::from_fn(|| self.attempts.try_recv().ok()) {
            let body: serde_json::Value = serde_json::from_str(&answer.answer).unwrap_or_default();
            for event in body["events"].as_array().into_iter().flatten() {
                let reason = event["reason"].as_str().map(|reason| format!(":{reason}")).unwrap_or_default();
                outcomes.push(format!("{}{reason}", event["outcome"].as_str().unwrap()));
            }
        }
        outcomes
    }

    /// The next answer to one sender.
    pub async fn next_of(&mut self, sender: &str) -> Attempt {
        loop {
            let answer = self.attempts.recv().await.unwrap();
            if answer.sender == sender {
                return answer;
            }
        }
    }

    /// Statuses that the gateway answered since the last time.
    pub fn statuses(&mut self) -> Vec<u16> {
        std::iter::from_fn(|| self.attempts.try_recv().ok()).map(|answer| answer.status).collect()
    }
}

pub fn address(name: &str) -> String {
    format!("{name}@example.org")
}

/// Somebody subscribes, and their account is told of again and again: it is written once.
pub async fn what_is_there_is_not_written_again(provider: Provider) {
    let mut town = Town::of(provider).await;
    let uid = town.subscriber("ann").await;
    let held = town.esp().people();
    for _ in 0..3 {
        town.sandbox.gigya.fire_update_of(&uid);
        town.quiet().await;
    }
    let outcomes = town.outcomes();
    assert!(outcomes.len() >= 3 && outcomes.iter().all(|outcome| outcome == "unchanged"), "{outcomes:?}");
    assert_eq!(town.esp().people(), held);
    let uids: Vec<_> = held.iter().map(|subscriber| subscriber.uid.as_deref()).collect();
    assert_eq!(uids, [Some(uid.as_str())], "the UID is written");
}

/// An opt-out at either side reaches the other one, and comes to rest there.
pub async fn an_opt_out_reaches_the_other_side_and_its_echo_ends(provider: Provider) {
    let mut town = Town::of(provider).await;
    let ann = town.subscriber("ann").await;
    let bea = town.subscriber("bea").await;
    assert!(town.esp().unsubscribe_link(&address("ann")));
    town.quiet().await;
    assert_eq!(town.gigya_says(&ann), Some(false));
    assert!(!town.mails("ann"));
    town.sandbox.gigya.unsubscribe(&bea, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.gigya_says(&bea), Some(false));
    assert!(!town.mails("bea"));
    // How often one act is told of, and how many of these find it undone yet, is chance. Then everything is at rest.
    town.outcomes();
    town.sandbox.gigya.fire_update_of(&ann);
    town.sandbox.gigya.fire_update_of(&bea);
    town.quiet().await;
    let outcomes = town.outcomes();
    assert!(outcomes.len() >= 2 && outcomes.iter().all(|outcome| outcome == "unchanged"), "{outcomes:?}");
}

/// The ESP's own word is late; an older opt-in in Gigya doesn't undo it meanwhile, and Gigya learns of it.
pub async fn an_opt_out_whose_callback_is_late_is_not_undone(provider: Provider) {
    let mut town = Town::of(provider).await;
    let uid = town.subscriber("ann").await;
    town.esp().courier().pause(true);
    assert!(town.esp().unsubscribe_link(&address("ann")));
    town.a_while_passes();
    town.sandbox.gigya.set_profile(&uid, "firstName", "Anna".into());
    assert!(town.sandbox.gigya.courier().settled(Duration::from_secs(30)).await);
    assert!(!town.mails("ann"));
    assert!(town.outcomes().contains(&"skipped:newer_opt_out".to_owned()));
    town.esp().courier().pause(false);
    town.quiet().await;
    assert_eq!(town.gigya_says(&uid), Some(false));
    assert!(!town.mails("ann"));
}

/// Only a newer opt-in lifts an opt-out; where the ESP tells no time, none is newer. Where the ESP refuses, that is said.
pub async fn a_newer_opt_in_is_forwarded_as_far_as_it_can_be_newer(provider: Provider) {
    let (is_final, keeps_out) = (provider.an_opt_out_is_final, provider.keeps_out_who_left);
    let mut town = Town::of(provider).await;
    let uid = town.subscriber("ann").await;
    assert!(town.esp().unsubscribe_link(&address("ann")));
    town.quiet().await;
    town.a_while_passes();
    town.outcomes();
    town.sandbox.gigya.subscribe(&uid, NEWSLETTER);
    town.quiet().await;
    if keeps_out {
        let outcomes = town.outcomes();
        assert!(!town.mails("ann") && outcomes.contains(&"skipped:held_by_esp".to_owned()), "{outcomes:?}");
        return;
    }
    assert_eq!(town.mails("ann"), !is_final, "{:?}", town.outcomes());
    assert_eq!(town.gigya_says(&uid), Some(!is_final));
    assert_eq!(town.outcomes().contains(&"skipped:newer_opt_out".to_owned()), is_final);
}

/// Whoever's account is gone isn't mailed; and of somebody whom the ESP never knew, nothing has to be removed.
pub async fn removal_is_done_of_who_is_there_and_of_who_is_not(provider: Provider) {
    let mut town = Town::of(provider).await;
    let ann = town.subscriber("ann").await;
    let bea = town.sandbox.gigya.sign_up(&address("bea"), "bea");
    town.quiet().await;
    town.outcomes();
    town.sandbox.gigya.set_active(&ann, false);
    town.quiet().await;
    assert!(!town.mails("ann"));
    assert!(town.outcomes().contains(&"applied".to_owned()));
    town.sandbox.gigya.set_active(&bea, false);
    town.sandbox.gigya.fire_update_of(&ann);
    town.quiet().await;
    let outcomes = town.outcomes();
    assert!(
        !outcomes.is_empty() && outcomes.iter().all(|outcome| outcome != "applied" && !outcome.starts_with("rejected")),
        "{outcomes:?}"
    );
    assert!(!town.mails("bea"));
}

/// Whoever gets another address is mailed there, and nowhere else.
pub async fn a_changed_address_is_the_only_one_that_is_mailed(provider: Provider) {
    let mut town = Town::of(provider).await;
    let uid = town.subscriber("ann").await;
    // The gateway keeps nothing here, so it must find who moved by the address that their account had besides.
    town.sandbox.gigya.change_email(&uid, &address("anna"));
    town.quiet().await;
    assert!(town.mails("anna"), "{:?}", town.outcomes());
    assert!(!town.mails("ann"));
    assert_eq!(town.gigya_says(&uid), Some(true));
}

/// While the ESP is down, the sender is told to come again; and then it is done.
pub async fn what_fails_is_deferred_and_done_later(provider: Provider) {
    let mut town = Town::of(provider).await;
    let uid = town.subscriber("ann").await;
    town.statuses();
    town.esp().faults().set_down(true);
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    let refused = town.next_of("Gigya").await;
    assert_eq!(refused.status, 503);
    assert!(refused.answer.contains("\"deferred\""), "{}", refused.answer);
    assert!(town.mails("ann"));
    town.esp().faults().set_down(false);
    town.quiet().await;
    assert!(!town.mails("ann"));
}

/// An answer that is lost changes nothing about where it ends.
pub async fn lost_answers_do_no_harm(provider: Provider) {
    let mut town = Town::of(provider).await;
    let uid = town.subscriber("ann").await;
    let weather = town.esp().faults().weather();
    town.esp().faults().set(gigya_esp_gateway::sandbox::Weather { reset_after: 0.3, error_after: 0.2, ..weather });
    for _ in 0..3 {
        town.a_while_passes();
        town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
        town.a_while_passes();
        town.sandbox.gigya.set_profile(&uid, "firstName", "Anna".into());
    }
    town.quiet().await;
    town.esp().faults().set(weather);
    assert_eq!(town.gigya_says(&uid), Some(false));
    assert!(!town.mails("ann"));
}

/// The routes of a provider make a lite account of whoever subscribes there; or, where nothing tells of that, can't be
/// set up to.
async fn making_lite_accounts(mut provider: Provider) -> Option<Town> {
    provider.setup.every_route = "\naccept_opt_ins = true\ncreate_lite_accounts = true\n".to_owned();
    if provider.tells_opt_ins {
        return Some(Town::of(provider).await);
    }
    let refused = Sandbox::start(provider.setup, Held::default()).await.err().map(|refused| refused.to_string());
    assert!(refused.is_some_and(|refused| refused.contains("accept_opt_ins: can't work")));
    None
}

impl Town {
    /// Somebody whom Gigya doesn't know fills in a form of the ESP, and has a lite account then. Its UID.
    async fn guest(&self, name: &str) -> String {
        let gigya = &self.sandbox.gigya;
        assert!(self.esp().form_subscribe(&address(name)));
        self.quiet().await;
        let accounts: Vec<_> = gigya.accounts().into_iter().filter(|account| account.email == address(name)).collect();
        let [account] = accounts.as_slice() else { panic!("{name} has one account: {accounts:?}") };
        assert!(account.is_lite, "{name} has a lite account");
        account.uid.clone()
    }

    /// UIDs of the records with an address that are mailed.
    fn mailed_as(&self, name: &str) -> Vec<Option<String>> {
        let people = self.esp().people().into_iter();
        people.filter(|held| held.email == address(name) && held.is_mailed()).map(|held| held.uid).collect()
    }
}

/// Somebody whom Gigya doesn't know subscribes at the ESP: they become a lite account, whose UID the ESP learns, and what they
/// say afterwards goes both ways; when it becomes a full one, with the same UID or another, they stay one subscriber.
pub async fn whoever_subscribes_there_becomes_a_lite_account_and_stays_one_subscriber(provider: Provider) {
    let comes_back = !provider.an_opt_out_is_final && !provider.keeps_out_who_left;
    let learns = !provider.keeps_the_forms_record;
    let mailed_as = |uid: &str| [learns.then(|| uid.to_owned())];
    let Some(town) = making_lite_accounts(provider).await else { return };
    let gigya = &town.sandbox.gigya;
    let ann = town.guest("ann").await;
    assert_eq!((town.gigya_says(&ann), town.mailed_as("ann").as_slice()), (Some(true), &mailed_as(&ann)[..]));
    gigya.progress(&ann);
    town.quiet().await;
    assert_eq!(town.mailed_as("ann"), mailed_as(&ann), "she has a full account");

    town.a_while_passes();
    assert!(town.esp().unsubscribe_link(&address("ann")));
    town.quiet().await;
    assert_eq!((town.gigya_says(&ann), town.mails("ann")), (Some(false), false));
    // Longer than the tag of the form's opt-in may be taken for that of another.
    town.sandbox.clock.advance(SignedDuration::from_mins(3));
    gigya.subscribe(&ann, NEWSLETTER);
    town.quiet().await;
    assert_eq!(town.mails("ann"), comes_back);

    let bea = town.guest("bea").await;
    gigya.change_uid(&bea, "u-bea");
    gigya.progress("u-bea");
    town.quiet().await;
    assert_eq!(town.mailed_as("bea"), mailed_as("u-bea"), "her account has another UID now");
    town.a_while_passes();
    gigya.unsubscribe("u-bea", NEWSLETTER);
    town.quiet().await;
    assert!(!town.mails("bea"));
}

/// A lite account that was made in Gigya goes out like a full one; and when it becomes one, with the same UID or another, it
/// stays one subscriber.
pub async fn a_lite_account_goes_out_and_stays_one_subscriber(provider: Provider) {
    let town = Town::of(provider).await;
    let gigya = &town.sandbox.gigya;
    for (name, full) in [("ann", None), ("bea", Some("u-bea"))] {
        let lite = gigya.sign_up_lite(&address(name));
        gigya.subscribe(&lite, NEWSLETTER);
        town.quiet().await;
        assert_eq!(town.mailed_as(name), [Some(lite.clone())], "{name} has a lite account");
        if let Some(full) = full {
            gigya.change_uid(&lite, full);
        }
        let uid = full.unwrap_or(&lite);
        gigya.progress(uid);
        town.quiet().await;
        // Not every system can give a record another UID.
        let mailed = town.mailed_as(name);
        assert!(mailed.len() == 1 && mailed[0].is_some(), "{name} has a full account: {mailed:?}");
        town.a_while_passes();
        assert!(town.esp().unsubscribe_link(&address(name)));
        town.quiet().await;
        assert_eq!((town.gigya_says(uid), town.mails(name)), (Some(false), false), "{name} left");
    }
}

/// Where Gigya asks whoever subscribes to confirm, a form at the ESP doesn't do that for them: the account waits, and what was
/// never confirmed can be taken back.
pub async fn a_form_there_does_not_confirm_what_gigya_asks_to_confirm(mut provider: Provider) {
    provider.setup.gigya.double_opt_in = vec![NEWSLETTER.to_owned()];
    let Some(town) = making_lite_accounts(provider).await else { return };
    let uid = town.guest("ann").await;
    assert!(town.sandbox.gigya.awaits_confirmation(&uid, NEWSLETTER));
    assert!(town.mails("ann"), "she stays where she subscribed");
    town.a_while_passes();
    town.sandbox.gigya.unsubscribe(&uid, NEWSLETTER);
    town.quiet().await;
    assert_eq!((town.gigya_says(&uid), town.mails("ann")), (Some(false), false));
}

/// Nobody but the ESP can say anything.
pub async fn a_callback_that_is_not_signed_is_not_believed(provider: Provider) {
    let town = Town::of(provider).await;
    let slug = match town.esp().slug() {
        slug @ ("campaign-monitor" | "marketing-cloud" | "salesforce") => slug,
        _ => "http",
    };
    let connection = town.sandbox.outfit().configuration.lines().find_map(|line| {
        let table = line.strip_prefix('[')?.strip_suffix(']')?;
        let (kind, name) = table.split_once('.')?;
        (kind != "gigya" && !name.contains('.')).then(|| name.to_owned())
    });
    let url = format!("http://{}/webhooks/{slug}/{}", town.sandbox.gateways[0], connection.unwrap());
    let calls = town.sandbox.faults().map(gigya_esp_gateway::sandbox::Faults::all_calls).sum::<u64>();
    let body = r#"[{"type":"unsubscribe","email":"ann@example.org"}]"#;
    for media_type in ["application/json", "application/x-www-form-urlencoded"] {
        let request = reqwest::Client::new().post(&url).header("content-type", media_type).body(body);
        let status = contract::ask(Port::Webhooks, request).await.status;
        assert!(status == 401 || status == 415, "{media_type}: {status}");
    }
    assert_eq!(town.sandbox.faults().map(gigya_esp_gateway::sandbox::Faults::all_calls).sum::<u64>(), calls);
}

/// The tests of one provider.
macro_rules! tests {
    ($($story:ident)+) => {$(
        #[tokio::test]
        async fn $story() {
            $crate::suite::$story(provider()).await;
        }
    )+};
    () => {
        $crate::suite::tests! {
            what_is_there_is_not_written_again
            an_opt_out_reaches_the_other_side_and_its_echo_ends
            an_opt_out_whose_callback_is_late_is_not_undone
            a_newer_opt_in_is_forwarded_as_far_as_it_can_be_newer
            removal_is_done_of_who_is_there_and_of_who_is_not
            a_changed_address_is_the_only_one_that_is_mailed
            what_fails_is_deferred_and_done_later
            lost_answers_do_no_harm
            whoever_subscribes_there_becomes_a_lite_account_and_stays_one_subscriber
            a_form_there_does_not_confirm_what_gigya_asks_to_confirm
            a_lite_account_goes_out_and_stays_one_subscriber
            a_callback_that_is_not_signed_is_not_believed
        }
    };
}
pub(crate) use tests;
