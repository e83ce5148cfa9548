//! `metrics.md`, of the table of families.

use crate::{cell, hold};
use gigya_esp_gateway::cli::RECONCILE_METRICS;
use gigya_esp_gateway::telemetry::metrics::FAMILIES;
use std::fmt::Write;

#[test]
fn the_page_of_metrics_is_current() {
    let mut page = String::from(
        "# Metrics\n\n`GET /metrics` on the operations port, in Prometheus' text format. Counters begin at zero with each start. \
         No label holds anything of a person or a request; there are as many series as connections, systems, operations and \
         reasons.\n\nRules and a dashboard made of them are in [deploy/observability](../../deploy/observability).\n\n\
         | metric | type | labels | meaning |\n| --- | --- | --- | --- |\n",
    );
    for family in FAMILIES {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, help) = (family.name, family.kind.label(), cell(family.help));
        writeln!(page, "| `{name}` | {kind} | {} | {help} |", labels.join(", ")).unwrap();
    }
    page.push_str(
        "\n- `connection`: the connection's name, where the webhook came from. `to`: the one at the other end of the route.\n\
         - `direction`: `gigya_to_esp`, `esp_to_gigya`.\n\
         - `outcome`, `reason`: see [outcomes](outcomes.md); the reason is empty where there is none.\n\
         - `system`: an API that is called, `gigya/main`, `campaign-monitor/news`, `marketing-cloud/crm/soap`. `operation`: a \
         call of it. `result`: `ok`, `refused` (it won't have the data), `slow_down`, `busy`, `failing`, `cut_short` (by the \
         webhook's deadline), `not_connected`, `timed_out`, `not_taken_up`, `broken`, `too_large`.\n\
         - `endpoint`: `gigya`, a provider's name in paths, `livez`, `readyz`, `metrics`, `status`, `unknown`.\n\n\
         An opt-out is in `gateway_opt_out_age_seconds` each time that a write of it took effect: Gigya may tell of one act by two \
         events, which are worked on side by side. It is told with the greatest age that it may have where a system tells \
         times coarsely; one without any time is not in it.\n",
    );
    page.push_str(
        "\n## Of a run of reconcile\n\nA run is over before anybody could scrape it: `reconcile --metrics-file` writes these into a \
         file, for the node exporter's textfile collector.\n\n| metric | labels | meaning |\n| --- | --- | --- |\n",
    );
    for (name, help) in RECONCILE_METRICS {
        let labels = if name.ends_with("_found") { "`route`, `difference`" } else { "" };
        writeln!(page, "| `{name}` | {labels} | {} |", cell(help)).unwrap();
    }
    hold("metrics.md", &page);
}
