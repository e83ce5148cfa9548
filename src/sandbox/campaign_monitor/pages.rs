//! The calls that read a list as a whole (vendor page "Lists" of API v3.3; names of answers from its SDKs' fixtures).

use super::CampaignMonitorSim;
use super::list::{Order, State};
use super::rest::{Answer, Parameters, Shows, shown};
use super::world::World;
use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, ToSpan};
use serde_json::{Map, Value, json};

impl CampaignMonitorSim {
    /// One page of a list's subscribers in one state.
    pub(super) fn page(&self, list: &str, state: State, parameters: &Parameters) -> Answer {
        let text = |key: &str| parameters.get(key).map(String::as_str).filter(|text| !text.is_empty());
        let number = |key: &str, default: usize| text(key).map_or(Some(default), |text| text.parse().ok());
        let page = number("page", 1).filter(|page| *page > 0).ok_or((400, 800, "Invalid page number"))?;
        let size = number("pagesize", 1000).filter(|size| (10..=1000).contains(size));
        let size = size.ok_or((400, 801, "Invalid page size"))?;
        let (order, ordered_by) = match text("orderfield").map(str::to_ascii_lowercase).as_deref() {
            None | Some("email") => (Order::Email, "email"),
            Some("name") => (Order::Name, "name"),
            Some("date") => (Order::Date, "date"),
            Some(_) => return Err((400, 802, "Invalid order field")),
        };
        let (descends, direction) = match text("orderdirection").map(str::to_ascii_lowercase).as_deref() {
            None | Some("asc") => (false, "asc"),
            Some("desc") => (true, "desc"),
            Some(_) => return Err((400, 803, "Invalid order direction")),
        };
        let shows = Shows {
            tracking: text("includetrackingpreference").is_some_and(|text| text.eq_ignore_ascii_case("true")),
            sms: text("includesmspreference").is_some_and(|text| text.eq_ignore_ascii_case("true")),
        };
        let mut world = self.world();
        world.list(list)?;
        let since = text("date").map(|text| time(&world, text)).transpose()?;
        let found = &world.lists[list];
        let (rows, total) = found.page(state, since, (order, descends), ((page - 1).saturating_mul(size), size));
        let rows: Vec<_> = rows.into_iter().map(|held| shown(&world, held, shows)).collect();
        Ok((
            200,
            json!({
                "RecordsOnThisPage": rows.len(), "Results": rows, "ResultsOrderedBy": ordered_by,
                "OrderDirection": direction, "PageNumber": page, "PageSize": size, "TotalNumberOfRecords": total,
                "NumberOfPages": total.div_ceil(size),
            }),
        ))
    }

    /// How many came and went, in all and lately.
    pub(super) fn stats(&self, list: &str) -> Answer {
        let mut world = self.world();
        world.list(list)?;
        let mut stats = Map::new();
        for (state, total, lately) in [
            (State::Active, "TotalActiveSubscribers", "NewActiveSubscribers"),
            (State::Unsubscribed, "TotalUnsubscribes", "Unsubscribes"),
            (State::Deleted, "TotalDeleted", "Deleted"),
            (State::Bounced, "TotalBounces", "Bounces"),
        ] {
            let list = &world.lists[list];
            stats.insert(total.to_owned(), list.count(state).into());
            for (name, from, until) in periods(&world) {
                stats.insert(format!("{lately}{name}"), list.count_between(state, from, until).into());
            }
        }
        Ok((200, Value::Object(stats)))
    }
}

/// A time of the client's, to the minute, the second or the day. What one that isn't is answered isn't documented.
fn time(world: &World, text: &str) -> Result<Timestamp, (u16, i64, &'static str)> {
    let formats = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"];
    let time = formats.iter().find_map(|format| DateTime::strptime(format, text).ok());
    let time = time.or_else(|| Date::strptime("%Y-%m-%d", text).ok().map(DateTime::from));
    time.and_then(|time| world.instant(time)).ok_or((400, 804, "Invalid date"))
}

/// Today, yesterday, this week (from Sunday on: not documented), month and year.
fn periods(world: &World) -> Vec<(&'static str, Timestamp, Timestamp)> {
    let today = world.today();
    let back = |days: i8| today.checked_sub(i64::from(days).days()).unwrap_or(today);
    let start = |date: Date| world.instant(date.into()).unwrap_or(Timestamp::MAX);
    let since = |name: &'static str, from: Date| (name, start(from), Timestamp::MAX);
    vec![
        since("Today", today),
        ("Yesterday", start(back(1)), start(today)),
        since("ThisWeek", back(today.weekday().to_sunday_zero_offset())),
        since("ThisMonth", today.first_of_month()),
        since("ThisYear", today.first_of_year()),
    ]
}
