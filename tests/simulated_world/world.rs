//! One world: the simulated systems, the real service between them, and the people who act in it.

use crate::contract::Held;
use crate::journal::MemoryJournal;
use crate::network::{self, CAMPAIGN_MONITOR, GIGYA, MARKETING_CLOUD, Network};
use crate::people::{NEWSLETTER, Person};
use crate::promise::{Broken, Ledger, Promise};
use crate::scenario::{Act, Journal, NAMES, Place, Scenario, What};
use crate::story::Story;
use gigya_esp_gateway::config::Config;
use gigya_esp_gateway::sandbox::campaign_monitor::CampaignMonitorSim;
use gigya_esp_gateway::sandbox::gigya::{GigyaSim, Signer, WebhookVersion};
use gigya_esp_gateway::sandbox::marketing_cloud::MarketingCloudSim;
use gigya_esp_gateway::sandbox::{
    Addresses, CALLBACK_TOKEN, Clock, Courier, Faults, GivingUp, Setup, SimulatedEsp, Surroundings, Temper, Weather,
    Witness,
};
use jiff::SignedDuration;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::Instant;

/// How long, in the simulated time, a world may take to come to rest. Redeliveries are a minute apart at most.
const LONG_ENOUGH: Duration = Duration::from_hours(6);
/// Longer than any call is on its way.
const A_MOMENT: Duration = Duration::from_secs(10);

/// What is seen of a world from outside the gateway.
pub struct Outside {
    pub gigya: GigyaSim,
    pub campaign_monitor: CampaignMonitorSim,
    pub esps: Vec<Arc<dyn SimulatedEsp>>,
    pub list: String,
    pub clocks: Clocks,
    pub place: Place,
    /// The replicas' journal, if they have one.
    pub journal: Option<MemoryJournal>,
}

/// The clocks of the systems that take part: Gigya's, and each ESP's in their order.
pub struct Clocks {
    pub gigya: Clock,
    pub esps: Vec<Clock>,
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub acts: u64,
    pub calls: u64,
    pub failed: u64,
    pub webhooks: u64,
    /// How long somebody was mailable after their opt-out was delivered, at most: until the older notice was through.
    pub longest_exposure: Duration,
}

impl Figures {
    pub fn add(&mut self, other: &Self) {
        self.acts += other.acts;
        self.calls += other.calls;
        self.failed += other.failed;
        self.webhooks += other.webhooks;
        self.longest_exposure = self.longest_exposure.max(other.longest_exposure);
    }
}

/// Lives through a scenario; a story of it, if asked for.
pub fn live(scenario: &Scenario, tells: bool) -> (Result<Figures, Broken>, Vec<String>) {
    fastrand::seed(scenario.chances);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let story = if tells { Story::told() } else { Story::untold() };
        let world = World::begin(scenario, &story);
        let result = world.live(scenario).await;
        (result, story.lines())
    })
}

struct World {
    outside: Arc<Outside>,
    network: Network,
    people: Arc<Mutex<Vec<Person>>>,
    promise: Arc<Promise>,
    story: Story,
    held: Held,
}

impl World {
    fn begin(scenario: &Scenario, story: &Story) -> Self {
        let place = &scenario.place;
        let setup = setup(place);
        let at = Addresses {
            gigya: network::at(GIGYA),
            campaign_monitor: network::at(CAMPAIGN_MONITOR),
            marketing_cloud: network::at(MARKETING_CLOUD),
        };
        let config =
            Config::parse(&setup.configuration(at), Path::new("world.toml"), &setup.secrets().into_iter().collect());
        let config = Arc::new(config.expect("the worlds' configurations are right"));
        let people: Arc<Mutex<Vec<Person>>> = Arc::default();
        let ledger = Arc::new(Ledger::default());
        let (attempts, _) = broadcast::channel(1);
        let clock = Clock::simulated("2026-01-05T10:00:00Z".parse().expect("a time"));
        let journal = place.journal.as_ref().map(|journal| {
            MemoryJournal::new(clock.clone(), scenario.chances, (journal.fails, journal.slow), story.clone())
        });
        let network = Network::new(scenario.chances, place.slow, journal.clone(), story.clone());
        let around = |system: usize, salt: u64| {
            let ledger = Arc::clone(&ledger);
            Surroundings {
                clock: clock.ahead_by(SignedDuration::from_secs(place.clocks[system])),
                attempts: attempts.clone(),
                carrier: Arc::new(network.clone()),
                observer: Some(Arc::new(move |moment| ledger.note(&moment))),
                seed: scenario.chances ^ salt,
            }
        };
        let (of_gigya, of_cm, of_mc) = (around(0, 0xa), around(1, 0xb), around(2, 0xc));
        let gigya = GigyaSim::start_with(setup.gigya.clone(), of_gigya.clone(), signer(&setup));
        let campaign_monitor = CampaignMonitorSim::start(setup.campaign_monitor.clone(), of_cm.clone());
        let marketing_cloud = MarketingCloudSim::start(setup.marketing_cloud.clone(), of_mc.clone());
        let esps = setup.audiences(&campaign_monitor, &marketing_cloud);
        let clock_of = |esp: &Arc<dyn SimulatedEsp>| match esp.slug() {
            "campaign-monitor" => of_cm.clock.clone(),
            _ => of_mc.clock.clone(),
        };
        let clocks = Clocks { gigya: of_gigya.clock, esps: esps.iter().map(clock_of).collect() };
        gigya.courier().deliver_to("http://gateway.example/webhooks/gigya/main");
        campaign_monitor
            .courier()
            .deliver_to(&format!("http://gateway.example/webhooks/campaign-monitor/news/{CALLBACK_TOKEN}"));
        marketing_cloud.register("http://gateway.example/webhooks/marketing-cloud/crm");
        let routers = [gigya.router(), campaign_monitor.router(), marketing_cloud.router()];
        let list = setup.list();
        let outside = Arc::new(Outside { gigya, campaign_monitor, esps, list, clocks, place: place.clone(), journal });
        let held = Held::default();
        for courier in outside.couriers() {
            courier.set_temper(temper(place, courier.temper()));
            courier.show_to(Arc::new(held.clone()));
        }
        for replica in 0..place.replicas {
            network.start_replica(Arc::clone(&config), &clock, place.clocks[3 + replica]);
        }
        let promise = Arc::new(Promise::new(Arc::clone(&outside), Arc::clone(&people), Arc::clone(&ledger)));
        let keeper = Arc::clone(&promise);
        network.connect(routers, Box::new(move |system, arrived| keeper.effect(system, arrived)));
        for (number, name) in NAMES.iter().take(scenario.people).enumerate() {
            let person = Person::new(name, &outside.gigya, number == 1);
            people.lock().unwrap().push(person);
        }
        Self { outside, network, people, promise, story: story.clone(), held }
    }

    async fn live(self, scenario: &Scenario) -> Result<Figures, Broken> {
        let mut figures = Figures::default();
        let keeper = tokio::spawn(Arc::clone(&self.promise).keep());
        for step in &scenario.steps {
            tokio::time::sleep(step.after).await;
            figures.acts += u64::from(self.happens(&step.what));
            self.is_kept()?;
        }
        self.happens(&What::Storm(false));
        self.happens(&What::Outage(false));
        for system in 0..self.outside.couriers().count() {
            self.happens(&What::Hold(system, false));
        }
        self.rests().await?;
        self.promise.at_rest()?;
        keeper.abort();
        self.held.concludes();
        let systems: Vec<&Faults> = self.outside.faults().collect();
        figures.calls = systems.iter().map(|system| system.all_calls()).sum();
        figures.failed = systems.iter().map(|system| system.failed()).sum();
        figures.webhooks = self.promise.webhooks();
        figures.longest_exposure = self.promise.longest_exposure();
        Ok(figures)
    }

    fn is_kept(&self) -> Result<(), Broken> {
        self.promise.broken()?;
        match self.network.lost() {
            Some(event) => Err(Broken::new(format!("event {event} was answered as written down, and isn't"))),
            None => Ok(()),
        }
    }

    /// Something happens. Whether a person did anything.
    fn happens(&self, what: &What) -> bool {
        let done = match what {
            What::Person(who, act) => self.acts(*who, *act),
            What::Kill(replica) => {
                self.network.kill(*replica);
                true
            }
            What::Storm(storms) => {
                let share = if *storms { self.outside.place.storm } else { 0.0 };
                self.outside.faults().for_each(|system| system.set(Weather::stormy(share)));
                true
            }
            What::Outage(is_down) => {
                self.outside.journal.iter().for_each(|journal| journal.set_down(*is_down));
                self.outside.journal.is_some()
            }
            What::Hold(system, held) => {
                if let Some(courier) = self.outside.couriers().nth(*system) {
                    courier.pause(*held);
                }
                true
            }
        };
        if done {
            self.story.tell(what);
        }
        done && matches!(what, What::Person(..))
    }

    fn acts(&self, who: usize, act: Act) -> bool {
        let done = self.people.lock().unwrap()[who].act(act, &self.outside);
        self.promise.acted();
        done
    }

    /// Waits until every webhook is delivered, and no call is on its way.
    async fn rests(&self) -> Result<(), Broken> {
        let begun = Instant::now();
        loop {
            tokio::time::sleep(A_MOMENT).await;
            self.is_kept()?;
            let unfinished = self.outside.journal.as_ref().map_or(0, MemoryJournal::pending);
            let waiting = self.outside.couriers().map(Courier::pending).sum::<usize>() + unfinished;
            if waiting == 0 && self.promise.is_quiet_for(A_MOMENT) {
                return Ok(());
            }
            if begun.elapsed() > LONG_ENOUGH {
                return Err(Broken::new(format!("{waiting} webhooks are never done")));
            }
        }
    }
}

impl Outside {
    pub fn couriers(&self) -> impl Iterator<Item = &Courier> {
        std::iter::once(self.gigya.courier()).chain(self.esps.iter().map(|esp| esp.courier()))
    }

    pub fn faults(&self) -> impl Iterator<Item = &Faults> {
        std::iter::once(self.gigya.faults()).chain(self.esps.iter().map(|esp| esp.faults()))
    }
}

fn temper(place: &Place, temper: Temper) -> Temper {
    Temper {
        batch: place.batch.min(temper.batch),
        first_interval: Duration::from_secs(5),
        longest_interval: Duration::from_mins(1),
        twice: place.twice,
        shuffle: place.shuffle,
        giving_up: GivingUp::Never,
        ..temper
    }
}

fn setup(place: &Place) -> Setup {
    let mut setup = Setup::with_esps(place.esps).with_lines("deadline = \"8s\"\nattempt_timeout = \"2s\"");
    if let Some(journal) = &place.journal {
        setup = with_journal(setup, journal);
    }
    for lines in [&mut setup.campaign_monitor_lines, &mut setup.marketing_cloud_lines] {
        let _ = writeln!(lines, "clocks_may_differ = \"{}s\"", place.clocks_may_differ());
    }
    setup.gigya.webhooks = if place.tokens { WebhookVersion::V2_0 } else { WebhookVersion::V1_1 };
    setup.gigya.nested_subscriptions = place.nested;
    if place.keeps_deleted {
        setup.gigya.deleted_is_found = LONG_ENOUGH;
    } else {
        setup.gigya.index_delay = Duration::from_secs(2);
    }
    if place.double_opt_in {
        setup.gigya.double_opt_in = vec![NEWSLETTER.to_owned()];
    }
    setup.campaign_monitor.coarse_times = place.coarse;
    setup.marketing_cloud.contact_delete_takes = Duration::from_secs(10);
    setup.marketing_cloud.suppression = Duration::from_mins(1);
    let mut route = String::new();
    if place.keep_removed {
        route.push_str("on_inactive = \"unsubscribe\"\n");
    }
    if place.publication_list {
        setup.marketing_cloud_audience = "publication-list:69238".to_owned();
        setup.marketing_cloud_route = "fields = { \"First Name\" = \"profile.firstName\" }".to_owned();
    }
    setup.marketing_cloud_route = format!("{route}{}", setup.marketing_cloud_route);
    if place.accept_opt_ins {
        route.push_str("accept_opt_ins = true\nconfirmed_at_esp = true\n");
    }
    if place.creates_lite_accounts() {
        route.push_str("create_lite_accounts = true\n");
    }
    setup.route = format!("{route}{}", setup.route);
    setup
}

fn with_journal(setup: Setup, journal: &Journal) -> Setup {
    // The file isn't opened: the replicas share one in memory.
    let mut setup = setup.with_journal(Path::new("world.db"));
    if journal.on_deadline {
        setup = setup.with_lines("on_deadline = \"journal\"");
    }
    if journal.alone_knows {
        setup.gigya.forgets_addresses = true;
        for list in &mut setup.campaign_monitor.lists {
            list.fields.retain(|field| field != "GigyaUID");
        }
    }
    setup
}

/// One for all worlds, as making its key takes longer than a world.
fn signer(setup: &Setup) -> Arc<Signer> {
    static SIGNER: OnceLock<Arc<Signer>> = OnceLock::new();
    let make = || Arc::new(Signer::new(&setup.gigya.api_key, &setup.gigya.webhook_secret));
    Arc::clone(SIGNER.get_or_init(make))
}
