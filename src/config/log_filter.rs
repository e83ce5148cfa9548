//! Which lines are logged.

use std::str::FromStr;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// Levels, of all lines or of a target's: `info`, `warn,gigya_esp_gateway=debug`.
#[derive(Clone, Debug, PartialEq)]
pub struct LogFilter(Targets);

/// A text that is no [`LogFilter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAFilter;

impl LogFilter {
    /// The filter itself.
    pub fn targets(&self) -> &Targets {
        &self.0
    }
}

impl Default for LogFilter {
    /// What is logged unless something else is asked for: `info`.
    fn default() -> Self {
        LevelFilter::INFO.into()
    }
}

impl From<LevelFilter> for LogFilter {
    /// All lines of that level and above.
    fn from(level: LevelFilter) -> Self {
        Self(Targets::new().with_default(level))
    }
}

impl FromStr for LogFilter {
    type Err = NotAFilter;

    /// The library's own parser would take the nothing after a last comma for "error", and brackets, which elsewhere choose spans, or a
    /// blank for a part of a target's name, so that lines would be missing without a word.
    fn from_str(filter: &str) -> Result<Self, NotAFilter> {
        let is_target = |text: &str| {
            let may_stand = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-' | '.' | '/');
            !text.is_empty() && text.chars().all(may_stand)
        };
        let mut told = Targets::new();
        let mut is_none = true;
        for directive in filter.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            is_none = false;
            let (target, level) = directive.split_once('=').unwrap_or((directive, ""));
            let level = Some(level).filter(|level| !level.is_empty()).map_or(Ok(LevelFilter::TRACE), str::parse);
            told = match (directive.parse::<LevelFilter>(), level) {
                (Ok(level), _) => told.with_default(level),
                (Err(_), Ok(level)) if is_target(target) => told.with_target(target, level),
                _ => return Err(NotAFilter),
            };
        }
        if is_none { Err(NotAFilter) } else { Ok(Self(told)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_means_what_it_says_or_is_none() {
        for (filter, meaning) in [
            ("info", "info"),
            ("WARN", "warn"),
            ("3", "info"),
            ("off", "off"),
            ("info,", "info"),
            (",info,,gigya_esp_gateway=debug,", "gigya_esp_gateway=debug,info"),
            ("warn, gigya_esp_gateway::forward=debug", "gigya_esp_gateway::forward=debug,warn"),
            ("gigya_esp_gateway", "gigya_esp_gateway=trace"),
            ("gigya_esp_gateway=", "gigya_esp_gateway=trace"),
        ] {
            assert_eq!(filter.parse::<LogFilter>().unwrap().targets().to_string(), meaning, "{filter}");
        }
        let none = ["", " ", ",", "=", "=debug", "a=b=c", "a=verbose", "a = debug", "a b", "info;a=debug"];
        let of_spans =
            ["gigya_esp_gateway[request]=debug", "[request]=debug", "a[{uid}]=debug", "a[request{uid=1}]=debug"];
        for filter in none.into_iter().chain(of_spans) {
            assert_eq!(filter.parse::<LogFilter>(), Err(NotAFilter), "{filter}");
        }
    }
}
