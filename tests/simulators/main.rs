//! The simulators say what the vendors' documentation says that their systems say.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod campaign_monitor;
mod campaign_monitor_lists;
mod drift;
mod gigya;
mod gigya_search;
mod marketing_cloud;
mod small;
