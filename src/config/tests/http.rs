//! `[http.NAME]`: what is taken, and what is refused with where and what to do.

use super::*;
use crate::config::http::{CallBody, Happening, Http, Json, Standing, Verification};

const TABLES: &str = r#"
[gigya.main]
api_keys = ["4_AbCdEf"]
data_center = "eu1.gigya.com"
user_key = "AAbb"
secret = { env = "GIGYA_SECRET" }

[http.mail]
title = "Mail"
base_url = "https://{setting:region}.example.com/v1"
settings = { region = "eu" }
secrets = { key = { env = "CM_API_KEY" } }
callback_secrets = [{ env = "CM_CALLBACK_TOKEN" }]
headers = { Authorization = "Bearer {secret:key}" }
[http.mail.read]
path = "/people/{email}"
answers = [{ status = 404, means = "absent" }]
state = "/state"
states = [{ equals = "in", means = "opted_in" }, { equals = "gone", means = "opted_out", reason = "deleted" }]
[http.mail.subscribe]
path = "/people"
json = { email = "{email}", lists = ["{audience|number}"], fields = "{fields}" }
[http.mail.unsubscribe]
path = "/people/{email}/stop"
[http.mail.callback]
verify = "hmac"
header = "X-Signature"
type = "/type"
kinds = [{ equals = "stop", means = "opted_out" }, { equals = "start", means = "opted_in" }]
address = "/email"

[[route]]
subscription = "main/newsletter"
audience = "mail/1"
"#;

/// The tables with these lines for the connection, in place of its own.
fn connected_by(connection: &str) -> String {
    let begin = TABLES.find("title = \"Mail\"").unwrap();
    let end = TABLES.find("[[route]]").unwrap();
    format!("{}{connection}\n\n{}", &TABLES[..begin], &TABLES[end..])
}

fn mail(text: &str) -> Http {
    match parse(text).unwrap().esps.into_values().next().unwrap() {
        Esp::Http(connection) => *connection,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_description_is_understood() {
    let connection = mail(TABLES);
    assert_eq!(connection.base_url.as_str(), "https://eu.example.com/v1");
    assert_eq!(connection.reads.len(), 1);
    assert_eq!(connection.reads[0].shape.states[1].means, Standing::OptedOut(crate::domain::OptOutReason::Deleted));
    assert!(
        matches!(&connection.operations.subscribe[0].body, CallBody::Json(Json::Object(members)) if members.len() == 3)
    );
    let callback = connection.callback.unwrap();
    assert!(matches!(callback.verification, Verification::Hmac { sha1: false, .. }));
    assert_eq!(callback.kinds[1].means, Happening::OptedIn);
    assert_eq!(connection.audiences.len(), 1);
    assert_eq!(parse(TABLES).unwrap().routes[0].on_inactive, RemovalKind::Unsubscribe, "there is no delete");
}

#[test]
fn an_operation_may_be_several_calls_and_a_body_one_text() {
    let steps = TABLES.replace(
        "[http.mail.unsubscribe]\npath = \"/people/{email}/stop\"",
        "[[http.mail.unsubscribe]]\npath = \"/a\"\njson = '{\"e\":\"{email}\",\"n\":1}'\n[[http.mail.unsubscribe]]\npath = \"/b\"",
    );
    let connection = mail(&steps);
    assert_eq!(connection.operations.unsubscribe.len(), 2);
    assert!(
        matches!(&connection.operations.unsubscribe[0].body, CallBody::Json(Json::Object(members)) if members.len() == 2)
    );
}

#[test]
fn what_is_wrong_is_told_with_its_line_all_at_once() {
    let text = TABLES
        .replace("\"/people/{email}\"\nanswers", "\"https://evil.example.com/{email}\"\nanswers")
        .replace("status = 404", "status = 4040")
        .replace("\"/state\"", "\"state\"")
        .replace("email = \"{email}\", lists", "email = \"{mail}\", lists")
        .replace("verify = \"hmac\"", "verify = \"magic\"");
    let message = problem_of(&text);
    for expected in [
        "gateway.toml:16:8: http.mail.read.path: is not a path below the base URL",
        "http.mail.read.answers[0].status: is no HTTP status",
        "gateway.toml:18:9: http.mail.read.state: is not a JSON pointer",
        "http.mail.subscribe.json.email: has the place {mail}, which there isn't",
        "http.mail.callback.verify: is none of the choices",
        "5 problems in the configuration",
    ] {
        assert!(message.contains(expected), "{expected} in\n{message}");
    }
}

#[test]
fn each_slip_is_told() {
    for (from, to, expected) in [
        ("{secret:key}", "{secret:other}", "headers.Authorization: has {secret:other}, which isn't among the secrets"),
        (
            "path = \"/people\"\n",
            "path = \"/people/{secret:key}\"\n",
            "path: has the place {secret:key}, which isn't known here",
        ),
        ("/people/{email}/stop", "/people/{uid}/stop", "unsubscribe.path: has the place {uid}, which isn't known here"),
        ("settings = { region = \"eu\" }", "settings = { region = \"evil.com/\" }", "settings.region: has characters"),
        ("settings = { region = \"eu\" }", "", "base_url: has {setting:region}, which is not declared"),
        ("[http.mail.unsubscribe]\npath = \"/people/{email}/stop\"", "", "http.mail.unsubscribe: is missing"),
        ("callback_secrets = [{ env = \"CM_CALLBACK_TOKEN\" }]", "", "callback_secrets: is missing"),
        ("header = \"X-Signature\"", "", "callback.header: is missing"),
        (
            "header = \"X-Signature\"",
            "header = \"X-Signature\"\nsigned = \"{timestamp}{body}\"",
            "signed: has something that no header is named for",
        ),
        ("title = \"Mail\"", "provider = \"nobody\"", "provider: is no provider that this version ships"),
        ("title = \"Mail\"", "titel = \"Mail\"", "did you mean \"title\"?"),
        ("https://{setting", "http://{setting", "base_url: is not https"),
        (
            "audience = \"mail/1\"",
            "audience = \"mail/1\"\non_inactive = \"delete\"",
            "on_inactive: \"delete\" needs a call",
        ),
        ("audience = \"mail/1\"", "audience = \"mail/1\"\nforward_bounces = true", "forward_bounces: can't work"),
        ("title = \"Mail\"", "audience = \"digits\"\n", ""),
        (
            "means = \"opted_in\" }, { equals = \"gone\"",
            "means = \"in\" }, { equals = \"gone\"",
            "states[0].means: is none of the choices",
        ),
        // What could look like nobody, or fit everything
        (
            "/people/{email}\"\nanswers",
            "/people/{email} \"\nanswers",
            "read.path: has a character that a URL's path can't",
        ),
        ("/people/{email}/stop", "/people/../{email}", "unsubscribe.path: leads elsewhere"),
        ("/people/{email}/stop", "/people/{email}%2/stop", "unsubscribe.path: has a character"),
        ("/people/{email}/stop", "/people/stop", "http.mail.unsubscribe: names nobody"),
        ("path = \"/people/{email}\"\nanswers", "path = \"/people\"\nanswers", "http.mail.read: names nobody"),
        (
            "[http.mail.unsubscribe]",
            "[http.mail.unsubscribe]\nmethod = \"GET\"",
            "http.mail.unsubscribe: changes nothing",
        ),
        ("{ equals = \"stop\"", "{ pointer = \"/opened\"", "kinds[0].pointer: asks for nothing"),
        ("{ equals = \"in\"", "{ pointer = \"/state\"", "states[0].pointer: asks for nothing"),
        ("{ equals = \"in\"", "{ contains = [\"in\"]", "states[0].contains: is not a text"),
        ("{ equals = \"in\"", "{ equals = []", "states[0].equals: is not a text"),
        ("{ equals = \"in\"", "{ any = {}", "states[0].any: asks for nothing"),
        ("{ equals = \"in\"", "{ equals = \"in\", exists = true", "states[0].exists: is there beside equals"),
        ("{ equals = \"in\", means", "{ means", "states[1]: is never reached"),
        ("{ equals = \"in\", means", "{ means", "states[0]: takes whatever is said for an opt-in"),
        ("{ equals = \"stop\", means = \"opted_out\"", "{ means = \"ignored\"", "kinds[0]: ignores whatever comes"),
        ("\"/state\"", "\"/states/*\"", "read.state: has a * where one isn't known"),
        ("status = 404", "status = [404, 503]", "answers[0].status: can't mean that"),
        ("status = 404", "status = 200", "answers[0].status: can't mean that"),
        (
            "verify = \"hmac\"",
            "verify = \"hmac\"\nverify_also = [\"tokn\"]",
            "verify_also: has \"tokn\", which is no scheme",
        ),
        ("verify = \"hmac\"", "verify = \"hmac\"\ntimestamp_header = \"X-Time\"", "signed: leaves the timestamp out"),
        ("verify = \"hmac\"", "verify = \"ecdsa-p256\"", "number 1 is not a public key for P-256"),
        (
            "[http.mail.callback]",
            "[http.mail.list]\npath = \"/people\"\neach = \"/people\"\n[http.mail.callback]",
            "http.mail.list: would read its first page again and again",
        ),
        ("Bearer {secret:key}", "Bearer of-what", "headers.Authorization: has no secret in it"),
        ("fields = \"{fields}\" }", "fields = \"{fields}\" }\nform = { a = \"b\" }", "form: is there beside json"),
        ("region = \"eu\"", "region = \"eu:443\"", "settings.region: has characters"),
        (
            "[http.mail.subscribe]",
            "[http.mail.rules]\nuid_field = \"uid\"\nreserved_fields = [\"state\"]\n[http.mail.subscribe]",
            "",
        ),
    ] {
        assert!(TABLES.contains(from), "{from}");
        let text = TABLES.replacen(from, to, 1);
        match (parse(&text), expected) {
            (Ok(_), "") => {}
            (Ok(_), expected) => panic!("{expected} wasn't told"),
            (Err(errors), expected) => {
                assert!(errors.to_string().contains(expected) && !expected.is_empty(), "{expected} in\n{errors}");
            }
        }
    }
    let reserved = TABLES.replace(
        "[http.mail.subscribe]",
        "[http.mail.rules]\nuid_field = \"uid\"\nreserved_fields = [\"state\"]\n[http.mail.subscribe]",
    );
    for field in ["uid", "state"] {
        let mapped = format!("{reserved}fields = {{ {field} = \"profile.firstName\" }}\n");
        assert!(problem_of(&mapped).contains(&format!("fields.{field}: says who somebody is there")), "{field}");
    }
    let words = TABLES.replace("title = \"Mail\"", "audience = \"digits\"").replace("mail/1", "mail/one");
    assert!(problem_of(&words).contains("does not name an audience of this ESP"));
}

/// Who pastes a secret where a place is wanted doesn't find it in a log.
#[test]
fn what_may_be_a_secret_is_not_shown() {
    for pasted in
        ["{sk-live-0123456789}", "{secret:sk-live-0123456789}", "{setting:SK0123456789}", "{kept:SK0123456789}"]
    {
        let message = problem_of(&TABLES.replace("{secret:key}", pasted));
        assert!(message.contains("headers.Authorization: has ") && !message.contains("0123456789"), "{message}");
    }
}

/// A setting that is a number in a shipped description.
#[test]
fn a_number_is_one() {
    let connection = "provider = \"sendgrid\"\nsettings = { group = \"news\" }\nsecrets = { api_key = { env = \"CM_API_KEY\" } }\ncallback_secrets = [{ env = \"ECDSA_KEY\" }]";
    let message = problem_of(&connected_by(connection));
    assert!(message.contains("settings.group: is not a number") && message.contains("1 problem"), "{message}");
}

/// What a call uses of the answers before it must be kept by one of them, in the same operation.
#[test]
fn what_is_kept_is_known_after_the_call_that_keeps_it_and_not_before() {
    let first = "[[http.mail.unsubscribe]]\npath = \"/find\"\nkeep = { id = { pointer = \"/id\" } }\n";
    let then = "[[http.mail.unsubscribe]]\npath = \"/stop/{kept:id}\"\n";
    let with = |calls: &str| TABLES.replacen("[http.mail.unsubscribe]\npath = \"/people/{email}/stop\"\n", calls, 1);
    assert_eq!(mail(&with(&format!("{first}{then}"))).operations.unsubscribe.len(), 2);
    let nobody_keeps_it = "path: has {kept:id}, which no call before this one keeps";
    for calls in [then.to_owned(), format!("{then}{first}"), first.replace("/find", "/find/{kept:id}")] {
        assert!(problem_of(&with(&calls)).contains(nobody_keeps_it), "{calls}");
    }
    let elsewhere = with(&format!("{first}{first}[http.mail.delete]\npath = \"/people/{{kept:id}}\"\n"));
    assert!(problem_of(&elsewhere).contains(&format!("delete.{nobody_keeps_it}")));
}

#[test]
fn two_esps_may_not_share_a_name() {
    let both = format!(
        "{TABLES}\n[campaign_monitor.mail]\napi_key = {{ env = \"CM_API_KEY\" }}\ntime_zone = \"UTC\"\ncallback_tokens = [{{ env = \"CM_CALLBACK_TOKEN\" }}]\n"
    );
    assert!(problem_of(&both).contains("http.mail: has the name of another ESP connection"));
}

/// Every description that is shipped can be read, with whatever it asks for given.
#[test]
fn shipped_descriptions_are_right() {
    let mut told = 0;
    for name in shipped::names() {
        let text = shipped::description(name).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let given = |kind: &str, value: &dyn Fn(&str) -> String| {
            let declared = table.get("declare").and_then(|declare| declare.get(kind)).and_then(toml::Value::as_table);
            let given: Vec<_> =
                declared.into_iter().flatten().map(|(name, _)| format!("{name} = {}", value(name))).collect();
            given.join(", ")
        };
        let settings = given("settings", &|_| "\"1\"".to_owned());
        let callback_secret = if text.contains("ecdsa-p256") { "ECDSA_KEY" } else { "CM_CALLBACK_TOKEN" };
        let secrets = given("secrets", &|_| "{ env = \"CM_API_KEY\" }".to_owned());
        let connection = format!(
            "provider = \"{name}\"\nsettings = {{ {settings} }}\nsecrets = {{ {secrets} }}\ncallback_secrets = [{{ env = \"{callback_secret}\" }}]"
        );
        let text = connected_by(&connection);
        parse(&text).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        // What a connection leaves out or says wrongly is told, and nothing that only follows from it.
        let slips = [
            ("settings", text.replace(&format!("settings = {{ {settings} }}\n"), "")),
            ("settings", text.replace(&settings, &settings.replace("\"1\"", "\"1/2\""))),
            ("secrets", text.replace(&format!("secrets = {{ {secrets} }}\n"), "")),
        ];
        for (table, slip) in slips {
            let Err(errors) = parse(&slip) else { continue };
            told += 1;
            for line in errors.to_string().lines().filter(|line| line.contains("http.mail")) {
                assert!(line.contains(&format!("http.mail.{table}.")), "{name}: {line}");
            }
        }
        let beside = text.replace(&connection, &format!("{connection}\ntitle = \"Mine\""));
        assert!(problem_of(&beside).contains("is said by the provider"), "{name}");
    }
    assert!(told > shipped::names().count(), "each has a secret, and some a setting");
}
