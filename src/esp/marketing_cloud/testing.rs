//! A connection's settings, for tests.

use crate::config::{Config, Environment, Esp, MarketingCloud};
use std::path::Path;

/// Its signature key.
pub const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A connection for the business unit 1476456, with lines for its table, and a route to each audience.
pub fn settings(lines: &str, audiences: &[&str]) -> MarketingCloud {
    use std::fmt::Write;
    let mut text = format!(
        "[gigya.main]\napi_keys = [\"4_A\"]\ndata_center = \"eu1.gigya.com\"\nuser_key = \"A\"\n\
         secret = {{ env = \"SECRET\" }}\n[marketing_cloud.crm]\nsubdomain = \"mc\"\naccount_id = \"1476456\"\n\
         client_id = {{ env = \"SECRET\" }}\nclient_secret = {{ env = \"SECRET\" }}\n\
         signature_keys = [{{ env = \"KEY\" }}]\n{lines}\n"
    );
    for (index, audience) in audiences.iter().enumerate() {
        let _ = write!(text, "[[route]]\nsubscription = \"main/s{index}\"\naudience = \"crm/{audience}\"\n");
    }
    let environment: Environment = [("SECRET", "c2VjcmV0"), ("KEY", KEY)].into_iter().collect();
    let config = Config::parse(&text, Path::new("test.toml"), &environment).unwrap();
    match config.esps.into_values().next().unwrap() {
        Esp::MarketingCloud(settings) => *settings,
        Esp::CampaignMonitor(_) | Esp::Http(_) => unreachable!("none is configured"),
    }
}
