use super::*;
use crate::domain::RemovalKind;
use secrecy::ExposeSecret;
use std::time::Duration;

mod http;
mod journal;
mod reconcile;
mod salesforce;

/// The configuration of the design's contract, with both ESPs.
const CONTRACT: &str = r#"
[server]
listen = "0.0.0.0:8080"                 # webhooks, nothing else
admin_listen = "127.0.0.1:9090"

[gigya.main]
api_keys = ["4_AbCdEf"]
data_center = "eu1.gigya.com"
user_key = "AAbb"
secret = { env = "GIGYA_SECRET" }
webhook_auth = "jwt"

[campaign_monitor.news]
api_key = { env = "CM_API_KEY" }
callback_tokens = [{ env = "CM_CALLBACK_TOKEN" }]
time_zone = "Europe/Berlin"

[marketing_cloud.crm]
subdomain = "mc-example"
account_id = "100001"
client_id = { env = "SFMC_CLIENT_ID" }
client_secret = { env = "SFMC_CLIENT_SECRET" }
signature_keys = [{ env = "SFMC_SIGNATURE_KEY" }]

[[route]]
subscription = "main/newsletter"
audience = "news/a58ee1d3039b8bec838e6d1482a8a965"
on_inactive = "delete"
double_opt_in = true
accept_opt_ins = false
forward_bounces = false
fields = { FirstName = "profile.firstName", GigyaUID = "UID" }

[[route]]
subscription = "main/offers"
audience = "crm/publication-list:69238+data-extension:PROFILES"
"#;

/// Stands wherever a secret may stand, and must never be seen again.
const CANARY: &str = "Y2FuYXJ5LXNlY3JldC1jYW5hcnk";

fn environment() -> Vec<(&'static str, &'static str)> {
    vec![
        ("GIGYA_SECRET", "c2VjcmV0"),
        ("CM_API_KEY", "cm-key"),
        ("CM_CALLBACK_TOKEN", "0123456789abcdef0123456789abcdef"),
        (
            "ECDSA_KEY",
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEH7x3I2Ttjqd7Zjl7ZQvxGauRzbuNwYtqQ2jAFpcW/RtiuL7HBZ1Gwm3mEcAJUwuoiEy87Hrk/Dq9l2By8BixGA==",
        ),
        ("SFMC_CLIENT_ID", "sfmc-client"),
        ("SFMC_CLIENT_SECRET", "sfmc-secret"),
        ("SFMC_SIGNATURE_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ("SF_CLIENT_ID", "sf-client"),
        ("SF_CLIENT_SECRET", "sf-secret"),
        ("SF_OUTBOUND_TOKEN", "0123456789abcdef0123456789abcdef"),
        ("MAIL_API_KEY", "mail-key"),
        ("MAIL_CALLBACK_SECRET", "mail-callback-secret"),
        ("JOURNAL_KEY", "journal-key-0123456789abcdef0123"),
        ("JOURNAL_POSTGRES", "postgres://gateway:Y2FuYXJ5LXNlY3JldC1jYW5hcnk@db.example.com/journal"),
        ("PATH", "/bin"),
    ]
}

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, Path::new("gateway.toml"), &environment().into_iter().collect())
}

fn parse_with(text: &str, more: &[(&'static str, &'static str)]) -> Result<Config, ConfigErrors> {
    let environment = environment().into_iter().chain(more.iter().copied()).collect();
    Config::parse(text, Path::new("gateway.toml"), &environment)
}

fn campaign_monitor(config: &Config) -> &CampaignMonitor {
    let found = config.esps.values().find_map(|esp| if let Esp::CampaignMonitor(esp) = esp { Some(esp) } else { None });
    found.unwrap()
}

fn marketing_cloud(config: &Config) -> &MarketingCloud {
    let found = config.esps.values().find_map(|esp| if let Esp::MarketingCloud(esp) = esp { Some(esp) } else { None });
    found.unwrap()
}

fn problem_of(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn the_contract_is_understood() {
    let config = parse(CONTRACT).unwrap();
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.server.max_body_bytes, 1 << 20);
    let gigya = config.gigya.values().next().unwrap();
    assert_eq!(gigya.endpoint, GigyaEndpoint::DataCenter("eu1.gigya.com".into()));
    assert_eq!(gigya.signature_max_age, Duration::from_hours(48));
    assert!(matches!(gigya.auth, GigyaAuth::Secret { .. }));
    let esp = campaign_monitor(&config);
    assert_eq!(esp.base_url.as_str(), "https://api.createsend.com/api/v3.3");
    assert_eq!(esp.subscribe_with, SubscribeWith::Import);
    let route = &config.routes[0];
    assert_eq!(route.label(), "main/newsletter -> news/a58ee1d3039b8bec838e6d1482a8a965");
    assert_eq!(route.on_inactive, RemovalKind::Delete);
    assert_eq!(route.fields["GigyaUID"], FieldSource::Path(vec!["UID".into()]));

    let esp = marketing_cloud(&config);
    assert_eq!(esp.rest_base_url.as_str(), "https://mc-example.rest.marketingcloudapis.com/");
    assert_eq!(esp.soap_base_url.as_str(), "https://mc-example.soap.marketingcloudapis.com/");
    assert_eq!(esp.common.deadline, Duration::from_millis(2500), "the sender waits for 3 s");
    assert_eq!(esp.common.attempt_timeout, Duration::from_secs(4), "in Gigya's webhooks there is more time");
    assert_eq!(esp.business_units, ["100001"]);
    assert_eq!(esp.subscriber_key, SubscriberKey::Uid);
    let route = &config.routes[1];
    assert_eq!(route.on_inactive, RemovalKind::Unsubscribe, "a contact deletion can't be undone");
    let audience = MarketingCloudAudience {
        status: Some(StatusPlace::PublicationList("69238".into())),
        data_extension: Some("PROFILES".into()),
    };
    assert_eq!(esp.audiences[&route.audience], audience);
}

#[test]
fn audiences_of_marketing_cloud() {
    let list = |id: &str| Some(StatusPlace::PublicationList(id.into()));
    let all = || Some(StatusPlace::AllSubscribers);
    for (text, status, data_extension) in [
        ("all-subscribers", all(), None),
        ("publication-list:7", list("7"), None),
        ("data-extension:KEY 1", None, Some("KEY 1")),
        ("all-subscribers+data-extension:K", all(), Some("K")),
        ("data-extension:K+publication-list:7", list("7"), Some("K")),
    ] {
        let expected = MarketingCloudAudience { status, data_extension: data_extension.map(ToOwned::to_owned) };
        assert_eq!(MarketingCloudAudience::parse(text), Some(expected), "{text}");
    }
    for text in [
        "",
        "+",
        "all",
        "all-subscribers:1",
        "all-subscribers+",
        "publication-list",
        "publication-list:",
        "publication-list:x",
        "publication-list:7+all-subscribers",
        "all-subscribers+all-subscribers",
        "data-extension:",
        "data-extension:A+data-extension:B",
        "list:7",
    ] {
        assert_eq!(MarketingCloudAudience::parse(text), None, "{text}");
    }
}

#[test]
fn what_does_not_fit_together_at_marketing_cloud_is_told() {
    let keys = "signature_keys = [{ env = \"SFMC_SIGNATURE_KEY\" }]";
    let list = "publication-list:69238+data-extension:PROFILES\"";
    let alone = "data-extension:B\"\n[[route]]\nsubscription = \"main/c\"\naudience = \"crm/all-subscribers\"";
    let cases: [(&str, &str, &str); 17] = [
        ("subdomain = \"mc-example\"", "", "marketing_cloud.crm.subdomain: is missing"),
        ("subdomain = \"mc-example\"", "subdomain = \"https://x\"", "subdomain: is not a subdomain"),
        ("subdomain = \"mc-example\"", "rest_base_url = \"https://x\"", "auth_base_url: is missing"),
        ("account_id", "rest_base_url = \"https://x\"\naccount_id", "rest_base_url: stands beside subdomain"),
        ("\"100001\"", "\"main\"", "account_id: is not a MID"),
        ("account_id", "business_units = [\"x\"]\naccount_id", "business_units: is not a list of MIDs"),
        (keys, "", "signature_keys: is missing"),
        (keys, "signature_keys = []", "signature_keys: is empty"),
        ("account_id", "subscriber_key = \"email\"\naccount_id", "uid_attribute: is missing"),
        ("account_id", "subscriber_key = \"phone\"\naccount_id", "subscriber_key: is none of the choices"),
        (
            "account_id",
            "subscriber_key = \"field:Crm\"\nuid_attribute = \"Gigya UID\"\naccount_id",
            "route[1].fields: does not map Crm",
        ),
        (list, "publication-list:x\"", "route[1].audience: does not name an audience of this ESP"),
        (list, &format!("{list}\non_inactive = \"suppress\""), "\"suppress\" is not to be had at Marketing Cloud"),
        (list, &format!("{list}\naccept_opt_ins = true"), "accept_opt_ins: can't work"),
        (list, &format!("{list}\nforward_bounces = true"), "forward_bounces: can't work"),
        (list, alone, "marketing_cloud.crm: has routes to a data extension alone beside routes to a status"),
        ("[marketing_cloud.crm]", "[marketing_cloud.news]", "marketing_cloud.news: has the name of another ESP"),
    ];
    for (from, to, expected) in cases {
        assert!(CONTRACT.contains(from), "{from}");
        let message = problem_of(&CONTRACT.replace(from, to));
        assert!(message.contains(expected), "expected {expected:?} in:\n{message}");
    }
    let registering = CONTRACT.replace(keys, "registering = true");
    assert!(marketing_cloud(&parse(&registering).unwrap()).signature_keys.is_empty());
}

#[test]
fn a_signature_key_that_is_still_to_be_shown_may_be_missing_while_registering() {
    let keys = "signature_keys = [{ env = \"SFMC_SIGNATURE_KEY\" }]";
    let to_come = "signature_keys = [{ file = \"nowhere/key\" }]";
    assert!(problem_of(&CONTRACT.replace(keys, to_come)).contains("file nowhere/key cannot be read"));
    let config = parse(&CONTRACT.replace(keys, &format!("{to_come}\nregistering = true"))).unwrap();
    let esp = marketing_cloud(&config);
    assert!(esp.signature_keys.is_empty());
    assert_eq!(esp.signature_key_file.as_deref(), Some(Path::new("nowhere/key")));
    let config = parse(&CONTRACT.replace(keys, &format!("{keys}\nregistering = true"))).unwrap();
    assert_eq!(marketing_cloud(&config).signature_key_file, None, "it has one");
}

#[test]
fn where_senders_reach_the_gateway_is_https_or_here_and_ends_without_a_slash() {
    let with = |url: &str| CONTRACT.replace("[server]", &format!("[server]\npublic_url = \"{url}\""));
    for (url, expected) in [
        ("https://gateway.example.com", "https://gateway.example.com"),
        ("https://gateway.example.com/hooks/", "https://gateway.example.com/hooks"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
    ] {
        assert_eq!(parse(&with(url)).unwrap().server.public_url.as_deref(), Some(expected), "{url}");
    }
    for url in ["http://gateway.example.com", "gateway.example.com", "https://a?b", "https://me:pw@gateway.example.com"]
    {
        assert!(problem_of(&with(url)).contains("server.public_url: is not"), "{url}");
    }
}

#[test]
fn webhooks_of_several_connections_have_names_of_their_own() {
    let names = |text: &str| {
        let config = parse(text).unwrap();
        config.gigya.into_values().map(|gigya| gigya.webhook_name).collect::<Vec<_>>()
    };
    assert_eq!(names(CONTRACT), ["esp-gateway"]);
    let other = "[gigya.other]\napi_keys = [\"4_x\"]\ndata_center = \"us1.gigya.com\"\nuser_key = \"k\"\n\
                 secret = { env = \"GIGYA_SECRET\" }\n";
    assert_eq!(names(&format!("{other}\n{CONTRACT}")), ["esp-gateway-main", "esp-gateway-other"]);
    let chosen = format!("{other}webhook_name = \"news\"\n{CONTRACT}");
    assert_eq!(names(&chosen), ["esp-gateway-main", "news"]);
}

#[test]
fn every_problem_is_told_at_once_with_its_line_and_a_remedy() {
    let text = CONTRACT
        .replace("listen = \"0.0.0.0:8080\"", "listen = \"everywhere\"\nlisen = 3")
        .replace("\"Europe/Berlin\"", "\"Berlin\"")
        .replace("main/newsletter", "mian/newsletter")
        .replace("on_inactive = \"delete\"", "on_inactive = \"forget\"");
    let expected = "\
gateway.toml:3:10: server.listen: is not an address and port
    write \"0.0.0.0:8080\"
gateway.toml:4:9: server.lisen: is not a key that this version knows
    did you mean \"listen\"?
gateway.toml:17:13: campaign_monitor.news.time_zone: is not a time zone
    write an IANA name such as \"Europe/Berlin\" or \"UTC\"
gateway.toml:27:16: route[0].subscription: names the connection \"mian\", which is not there
    configured are \"main\"
gateway.toml:29:15: route[0].on_inactive: is none of the choices
    write \"delete\" or \"unsubscribe\" or \"suppress\"
5 problems in the configuration";
    assert_eq!(problem_of(&text), expected);
}

#[test]
fn what_is_missing_is_told() {
    let expected = "\
gateway.toml: gigya: is missing
    add a [gigya.main] table; see deploy/gateway.example.toml
gateway.toml: campaign_monitor: is missing
    add a [campaign_monitor.news], [marketing_cloud.crm], [salesforce.sales] or [http.mail] table; see deploy/gateway.example.toml
gateway.toml: route: is missing
    add a [[route]] that says which subscription goes to which audience
3 problems in the configuration";
    assert_eq!(problem_of(""), expected);
}

#[test]
fn a_provider_of_another_version_is_told() {
    let message = problem_of(&format!("{CONTRACT}\n[sendmail.crm]\nsubdomain = \"mc\""));
    assert!(message.contains("gateway.toml:38:2: sendmail: is not a key that this version knows"), "{message}");
}

#[test]
fn a_secret_that_cannot_be_read_is_told() {
    let text = CONTRACT.replace("CM_API_KEY", "NOT_SET");
    assert!(problem_of(&text).contains("api_key: environment variable NOT_SET is not set"), "{}", problem_of(&text));
    let text = CONTRACT.replace("env = \"CM_API_KEY\"", "file = \"/nowhere/key\"");
    assert!(problem_of(&text).contains("api_key: file /nowhere/key cannot be read"), "{}", problem_of(&text));
}

#[test]
fn a_secret_is_read_from_a_file_beside_the_configuration() {
    let folder = std::env::temp_dir().join(format!("gateway-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("key"), "from-the-file\n").unwrap();
    let text = CONTRACT.replace("env = \"CM_API_KEY\"", "file = \"key\"");
    let config = Config::parse(&text, &folder.join("gateway.toml"), &environment().into_iter().collect()).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let esp = campaign_monitor(&config);
    assert_eq!(esp.api_key.expose_secret(), "from-the-file");
}

#[test]
fn variables_override_the_file() {
    let more = [
        ("GATEWAY_SERVER__LISTEN", "127.0.0.1:1"),
        ("GATEWAY_SERVER__MAX_IN_FLIGHT", "7"),
        ("GATEWAY_GIGYA__MAIN__API_KEYS", "[\"4_x\", \"4_y\"]"),
        ("GATEWAY_GIGYA__MAIN__USER_KEY", "123"),
        ("GATEWAY_CAMPAIGN_MONITOR__NEWS__API_KEY", "456"),
        ("GATEWAY_ROUTE__0__DOUBLE_OPT_IN", "false"),
        ("GATEWAY_ROUTE__0__FIELDS__firstname", "=x"),
        ("GATEWAY_SERVICE_HOST", "10.0.0.1"),
    ];
    let config = parse_with(CONTRACT, &more).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:1");
    assert_eq!(config.server.max_in_flight, 7);
    let gigya = config.gigya.values().next().unwrap();
    assert_eq!(gigya.api_keys, ["4_x", "4_y"]);
    assert!(matches!(&gigya.auth, GigyaAuth::Secret { user_key, .. } if user_key == "123"));
    let esp = campaign_monitor(&config);
    assert_eq!(esp.api_key.expose_secret(), "456");
    assert!(!config.routes[0].double_opt_in);
    assert_eq!(config.routes[0].fields["FirstName"], FieldSource::Literal("x".into()));
}

#[test]
fn a_variable_that_overrides_nothing_is_told() {
    let errors =
        parse_with(CONTRACT, &[("GATEWAY_SERVER__LISEN", "x"), ("GATEWAY_ROUTE__7__AUDIENCE", "x")]).unwrap_err();
    let message = errors.to_string();
    let unknown = "environment variable GATEWAY_SERVER__LISEN: server.lisen: is not a key that this version knows";
    assert!(message.contains(unknown), "{message}");
    assert!(message.contains("environment variable GATEWAY_ROUTE__7__AUDIENCE: names nothing"), "{message}");
}

#[test]
fn plain_http_is_for_this_machine_or_by_permission() {
    let with = |line: &str| CONTRACT.replace("data_center = \"eu1.gigya.com\"", line);
    for fine in ["http://127.0.0.1:7001", "http://localhost:7001", "http://[::1]:1", "https://gigya.example"] {
        parse(&with(&format!("base_url = \"{fine}\""))).unwrap();
    }
    parse(&with("base_url = \"http://gigya.internal\"\nallow_http = true")).unwrap();
    for bad in ["http://gigya.example", "ftp://127.0.0.1", "gigya", "https://user:pw@gigya.example", "https://a?b"] {
        assert!(parse(&with(&format!("base_url = \"{bad}\""))).is_err(), "{bad}");
    }
}

#[test]
fn what_does_not_fit_together_is_told() {
    let jwt = "webhook_auth = \"jwt\"";
    let cases = [
        (jwt, "webhook_auth = \"hmac-sha1\"", "webhook_secrets: is missing"),
        (jwt, "webhook_secrets = [{ env = \"GIGYA_SECRET\" }]", "webhook_secrets: is used with"),
        (jwt, "jwt_issuer = \"https://x/\"", "jwt_issuer: does not name the site"),
        (jwt, "webhook_signing_key = \"k\"", "webhook_signing_key: is used with"),
        (jwt, "webhook_name = \" \"", "webhook_name: is not a name for a webhook"),
        (jwt, "auth = \"bearer\"", "private_key: is missing"),
        (jwt, "base_url = \"https://x\"", "base_url: stands beside data_center"),
        (jwt, "deadline = \"1s\"\nattempt_timeout = \"2s\"", "attempt_timeout: is longer than deadline"),
        (jwt, "deadline = \"soon\"", "deadline: is not a length of time"),
        ("api_keys = [\"4_AbCdEf\"]", "", "api_keys: is missing"),
        ("api_keys = [\"4_AbCdEf\"]", "api_keys = []", "api_keys: is empty"),
        ("\"delete\"", "\"suppress\"", "on_inactive: \"suppress\" needs the client's id"),
        ("accept_opt_ins = false", "create_lite_accounts = true", "create_lite_accounts: does nothing"),
        ("accept_opt_ins = false", "confirmed_at_esp = true", "confirmed_at_esp: does nothing"),
        ("\"profile.firstName\"", "\"{profile.firstName\"", "fields.FirstName: has an opening brace"),
        ("127.0.0.1:9090", "0.0.0.0:8080", "admin_listen: is the same as server.listen"),
        ("[gigya.main]", "[gigya.Main]", "gigya.Main: is not a name"),
        ("news/a58ee1d3039b8bec838e6d1482a8a965", "news", "audience: does not name a connection and what is there"),
    ];
    for (from, to, expected) in cases {
        assert!(CONTRACT.contains(from), "{from}");
        let message = problem_of(&CONTRACT.replace(from, to));
        assert!(message.contains(expected), "expected {expected:?} in:\n{message}");
    }
}

#[test]
fn a_route_in_one_bracket_is_told() {
    let (with_one, _) = CONTRACT.rsplit_once("[[route]]").unwrap();
    let message = problem_of(&with_one.replace("[[route]]", "[route]"));
    assert!(message.contains("route: is one table"), "{message}");
}

#[test]
fn a_route_that_is_there_twice_is_told() {
    let again = CONTRACT.split("[[route]]").nth(1).unwrap();
    let message = problem_of(&format!("{CONTRACT}\n[[route]]{again}"));
    assert!(message.contains("route[2]: is there twice: main/newsletter -> news/"), "{message}");
}

#[test]
fn no_message_shows_a_secret_wherever_it_was_put() {
    let places = [
        CONTRACT.replace("secret = { env = \"GIGYA_SECRET\" }", &format!("secret = \"{CANARY}\"")),
        CONTRACT.replace("secret = { env = \"GIGYA_SECRET\" }", &format!("secret = \"{CANARY}")),
        CONTRACT.replace("secret = { env = \"GIGYA_SECRET\" }", &format!("secret = {CANARY}")),
        CONTRACT.replace("secret = { env = \"GIGYA_SECRET\" }", &format!("secret = {{ value = \"{CANARY}\" }}")),
        CONTRACT.replace("secret = { env = \"GIGYA_SECRET\" }", &format!("secret = [\"{CANARY}\"]")),
        CONTRACT.replace("secret = { env = \"GIGYA_SECRET\" }", &format!("secert = \"{CANARY}\"")),
        CONTRACT.replace("{ env = \"CM_API_KEY\" }", &format!("\"{CANARY}\"")),
        CONTRACT.replace("{ env = \"CM_CALLBACK_TOKEN\" }", &format!("\"{CANARY}\"")),
        CONTRACT
            .replace("secret = { env = \"GIGYA_SECRET\" }", &format!("secret = {{ env = \"GIGYA_SECRET\" }} {CANARY}")),
    ];
    for text in places {
        assert!(text.contains(CANARY));
        let errors = parse(&text).unwrap_err();
        assert!(!format!("{errors} {errors:?}").contains(CANARY), "{errors}");
    }
    let variables = [
        ("GATEWAY_GIGYA__MAIN__SECRET", "Y2FuYXJ5LXNlY3JldC1jYW5hcnk!"),
        ("GATEWAY_CAMPAIGN_MONITOR__NEWS__CALLBACK_TOKENS", "Y2FuYXJ5LXNlY3JldC1jYW5hcnk/"),
        ("GATEWAY_GIGYA__MAIN__SECERT", CANARY),
    ];
    for variable in variables {
        let errors = parse_with(CONTRACT, &[variable]).unwrap_err();
        assert!(!format!("{errors} {errors:?}").contains(CANARY), "{errors}");
    }
    let config = parse_with(CONTRACT, &[("CM_API_KEY", CANARY)]).unwrap();
    assert!(!format!("{config:?}").contains(CANARY));
}

fn telemetry(lines: &str) -> Result<Config, ConfigErrors> {
    parse_with(&format!("{CONTRACT}\n[telemetry]\n{lines}"), &[("OTLP", CANARY)])
}

#[test]
fn where_traces_go() {
    assert!(telemetry("trace_ratio = 0.5\nservice_name = \"x\"").unwrap().telemetry.traces.is_none());
    let traces = telemetry("otlp_endpoint = \"http://127.0.0.1:4318\"").unwrap().telemetry.traces.unwrap();
    assert_eq!(traces.endpoint.as_str(), "http://127.0.0.1:4318/");
    assert_eq!((traces.ratio, traces.service_name.as_str()), (1.0, "gigya-esp-gateway"));
    assert!(traces.headers.is_empty());
    let lines = "otlp_endpoint = \"http://collector\"\notlp_allow_http = true\ntrace_ratio = 0.25\n\
                 otlp_headers = { authorization = { env = \"OTLP\" } }";
    let config = telemetry(lines).unwrap();
    let traces = config.telemetry.traces.as_ref().unwrap();
    assert!((traces.ratio - 0.25).abs() < f64::EPSILON);
    assert_eq!(traces.headers["authorization"].expose_secret(), CANARY);
    assert!(!format!("{config:?}").contains(CANARY));
    for (ratio, expected) in [("0", 0.0), ("1", 1.0), ("1.0", 1.0), ("1e-2", 0.01)] {
        let lines = format!("otlp_endpoint = \"https://collector\"\ntrace_ratio = {ratio}");
        let traces = telemetry(&lines).unwrap().telemetry.traces.unwrap();
        assert!((traces.ratio - expected).abs() < f64::EPSILON, "{ratio}");
    }
}

#[test]
fn where_traces_cannot_go() {
    for (lines, expected) in [
        ("otlp_endpoint = \"http://collector\"", "set otlp_allow_http = true"),
        ("otlp_endpoint = \"collector:4318\"", "otlp_endpoint: is not"),
        ("trace_ratio = 1.1", "trace_ratio: is not a number from 0 to 1"),
        ("trace_ratio = -0.1", "trace_ratio: is not a number from 0 to 1"),
        ("trace_ratio = nan", "trace_ratio: is not a number from 0 to 1"),
        ("trace_ratio = 2", "trace_ratio: is not a number from 0 to 1"),
        ("otlp_headers = { authorization = \"Y2FuYXJ5LXNlY3JldC1jYW5hcnk\" }", "authorization: is not a reference"),
        ("otlp_headers = { \"a b\" = { env = \"OTLP\" } }", "otlp_headers.a b: cannot be sent as an HTTP header"),
        ("otlp_headers = \"a\"", "otlp_headers: is not a table"),
        ("log_filter = \"a=b=c\"", "log_filter: is not a filter"),
        ("log_filter = \"\"", "log_filter: is"),
    ] {
        let message = telemetry(lines).unwrap_err().to_string();
        assert!(message.contains(expected), "expected {expected:?} in:\n{message}");
        assert!(!message.contains(CANARY), "{message}");
    }
}

#[test]
fn one_slip_is_one_problem() {
    for slip in ["[server\nlisten = \"0.0.0.0:80\"", "a = \"b\nc = 1", "= 1", "a = [1, 2\nb = 3"] {
        let errors = parse(&format!("{slip}\n")).unwrap_err();
        let lines: std::collections::BTreeSet<_> = errors.lines().into_iter().collect();
        assert_eq!(errors.problems().len(), lines.len(), "{errors}");
        assert!(errors.to_string().ends_with("1 problem in the configuration"), "{errors}");
    }
}

/// What is shipped for people to copy.
const EXAMPLE: &str = include_str!("../../deploy/gateway.example.toml");

#[test]
fn the_shipped_example_is_valid_and_names_every_key() {
    parse(EXAMPLE).unwrap();

    // The loader itself tells which keys it knows, when asked for one that is like none of them.
    let strays = [
        ("GATEWAY_SALESFORCE__SALES__ZZZZZZZZZZZZZZZZZZZZZZZZ", "1"),
        ("GATEWAY_HTTP__MAIL__ZZZZZZZZZZZZZZZZZZZZZZZZ", "1"),
        ("GATEWAY_ZZZZZZZZZZZZZZZZZZZZZZZZ__Z", "1"),
        ("GATEWAY_SERVER__ZZZZZZZZZZZZZZZZZZZZZZZZ", "1"),
        ("GATEWAY_TELEMETRY__ZZZZZZZZZZZZZZZZZZZZZZZZ", "1"),
        ("GATEWAY_JOURNAL__ZZZZZZZZZZZZZZZZZZZZZZZZ", "1"),
        ("GATEWAY_GIGYA__MAIN__ZZZZZZZZZZZZZZZZZZZZZZZZ", "1"),
        ("GATEWAY_CAMPAIGN_MONITOR__NEWS__ZZZZZZZZZZZZZZZZZZZZZZZZ", "1"),
        ("GATEWAY_MARKETING_CLOUD__CRM__ZZZZZZZZZZZZZZZZZZZZZZZZ", "1"),
        ("GATEWAY_ROUTE__0__ZZZZZZZZZZZZZZZZZZZZZZZZ", "1"),
    ];
    let errors = parse_with(EXAMPLE, &strays).unwrap_err();
    assert_eq!(errors.problems().len(), strays.len(), "{errors}");
    let names_key = |line: &str, key: &str| {
        let line = line.trim_start_matches(['#', ' ']).trim_start_matches("or: ");
        if line.trim_matches(['[', ']']).ends_with(&format!(".{key}")) {
            return true;
        }
        let after = line.trim_start_matches('[').strip_prefix(key);
        after.is_some_and(|after| after.starts_with(" = ") || after.starts_with(['.', ']']))
    };
    for problem in errors.problems() {
        let known = problem.remedy.strip_prefix("known here: ").unwrap();
        for key in known.split(", ") {
            assert!(EXAMPLE.lines().any(|line| names_key(line, key)), "{key} of {} is missing", problem.key);
        }
    }
}

#[test]
fn the_shipped_example_shows_the_defaults() {
    let is_default = |line: &str| line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(" = ");
    let spelled_out: Vec<_> =
        EXAMPLE.lines().map(|line| line.strip_prefix('#').filter(|rest| is_default(rest)).unwrap_or(line)).collect();
    let spelled_out = spelled_out.join("\n");
    assert_ne!(spelled_out, EXAMPLE);
    let of = |text| format!("{:?}", parse(text).unwrap());
    assert_eq!(of(&spelled_out), of(EXAMPLE));
}
