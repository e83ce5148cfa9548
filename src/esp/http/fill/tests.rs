use super::*;
use crate::config::http::{Allowed, AudienceIs, HttpRules, Operations};
use crate::config::{Config, Esp};
use http::Method;
use serde_json::json;
use std::path::Path;

const ALL: Allowed = Allowed {
    email: true,
    person: true,
    record: true,
    uid: true,
    audience: true,
    secrets: true,
    kept: true,
    page: true,
    objects: true,
};

fn template(text: &str) -> Template {
    Template::parse(text, ALL, &BTreeMap::new()).unwrap()
}

fn settings(rules: HttpRules) -> Http {
    Http {
        name: crate::domain::ConnectionName::new("mail"),
        common: common(),
        title: String::new(),
        about: String::new(),
        provider: None,
        base_url: "https://api.example.com/v1".parse().unwrap(),
        headers: Vec::new(),
        basic_auth: None,
        secrets: BTreeMap::from([("key".to_owned(), SecretString::from("hush"))]),
        callback_secrets: Vec::new(),
        reads: Vec::new(),
        lists: Vec::new(),
        probes: Vec::new(),
        operations: Operations {
            subscribe: Vec::new(),
            resubscribe: None,
            update: None,
            unsubscribe: Vec::new(),
            delete: None,
            suppress: None,
            discard: None,
        },
        rules,
        callback: None,
        audiences: std::collections::BTreeSet::new(),
    }
}

fn common() -> crate::config::Common {
    let text = "[gigya.main]\napi_keys = [\"4_A\"]\ndata_center = \"eu1.gigya.com\"\nuser_key = \"A\"\n\
                secret = { env = \"S\" }\n[campaign_monitor.news]\napi_key = { env = \"S\" }\ntime_zone = \"UTC\"\n\
                callback_tokens = [{ env = \"T\" }]\n[[route]]\nsubscription = \"main/n\"\naudience = \"news/1\"\n";
    let environment = [("S", "c2VjcmV0"), ("T", "0123456789abcdef")].into_iter().collect();
    let config = Config::parse(text, Path::new("x.toml"), &environment).unwrap();
    config.esps.values().map(Esp::common).next().unwrap().clone()
}

fn rules() -> HttpRules {
    HttpRules {
        one_record_an_address: true,
        subscribe_may_lift_opt_out: false,
        update_may_opt_in: false,
        update_moves_address: false,
        queued: false,
        uid_field: Some("uid".to_owned()),
        missing: Missing::Empty,
        flags_as_text: false,
        many_joined: false,
        own_fields: ["first".to_owned()].into(),
        reserved_fields: std::collections::BTreeSet::new(),
        audience: AudienceIs::Any,
    }
}

fn person(address: &str) -> Person {
    let field = |name: &str, value| Field { name: name.to_owned(), value };
    Person {
        address: Email::parse(address).unwrap(),
        uid: Uid::new("u/1").unwrap(),
        fields: vec![
            field("first", FieldValue::Text("Ann \"A\"".into())),
            field("vip", FieldValue::Flag(true)),
            field("gone", FieldValue::Missing),
            field("tags", FieldValue::Many(vec!["a".into(), "b".into()])),
        ],
    }
}

fn call(path: &str, query: &[(&str, &str)], body: CallBody) -> Call {
    let query = query.iter().map(|(name, text)| ((*name).to_owned(), template(text))).collect();
    Call {
        method: Method::POST,
        path: template(path),
        query,
        headers: Vec::new(),
        body,
        answers: Vec::new(),
        keep: Vec::new(),
    }
}

/// URL and body of a call about somebody.
fn made(rules: HttpRules, address: &str, call: &Call) -> Option<(String, String)> {
    let (settings, person, audience) = (settings(rules), person(address), Audience::new("a/b?c"));
    let kept = BTreeMap::from([("others".to_owned(), json!([1, 2]))]);
    let known = Known {
        settings: Some(&settings),
        audience: Some(&audience),
        person: Some(&person),
        kept: Some(&kept),
        ..Known::default()
    };
    let request = known.request("https://api.example.com/v1", call, &HeaderMap::new()).unwrap()?;
    let body = String::from_utf8(request.body().to_vec()).unwrap();
    Some((request.uri().to_string(), body))
}

#[test]
fn nothing_leaves_its_place_in_a_url() {
    let call =
        call("/l/{audience}/m/{email|lower}", &[("f", "equals(e,\"{email|quoted}\")"), ("u", "{uid}")], CallBody::None);
    let (url, _) = made(rules(), "A&b=\"c\"/../x?#@Example.org", &call).unwrap();
    assert_eq!(
        url,
        "https://api.example.com/v1/l/a%2Fb%3Fc/m/a%26b%3D%22c%22%2F..%2Fx%3F%23%40example.org\
         ?f=equals%28e%2C%22A%26b%3D%5C%22c%5C%22%2F..%2Fx%3F%23%40Example.org%22%29&u=u%2F1"
    );
}

#[test]
fn keys_that_are_digests_are_as_the_esps_make_them() {
    let (url, _) =
        made(rules(), "Urist.McVankab@freddiesjokes.com", &call("/{email|lower|md5}", &[], CallBody::None)).unwrap();
    // Of Mailchimp's own documentation.
    assert!(url.ends_with("/62eeb292278cc15f5817cb78f7790b08"), "{url}");
}

#[test]
fn values_are_put_into_json_and_never_into_text() {
    let body = Json::Object(vec![
        ("email".into(), Json::Text(template("{email}"))),
        ("said".into(), Json::Text(template("x {field:first}"))),
        ("n".into(), Json::List(vec![Json::Text(template("{audience|number}")), Json::Value(json!(7))])),
        ("fields".into(), Json::Text(template("{fields}"))),
        ("others".into(), Json::Text(template("{kept:others}"))),
        ("nothing".into(), Json::Text(template("{kept:nothing}"))),
        ("*".into(), Json::Text(template("{own_fields}"))),
    ]);
    let (_, body) = made(rules(), "a@x.org", &call("/", &[], CallBody::Json(body))).unwrap();
    let expected = json!({
        "email": "a@x.org", "said": "x Ann \"A\"", "n": ["a/b?c", 7],
        "fields": { "vip": true, "gone": "", "tags": ["a", "b"], "uid": "u/1" },
        "others": [1, 2], "first": "Ann \"A\"",
    });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
}

#[test]
fn fields_are_spelled_as_the_description_says() {
    let body = || CallBody::Json(Json::Text(template("{fields}")));
    let spelled =
        HttpRules { missing: Missing::Omit, flags_as_text: true, many_joined: true, uid_field: None, ..rules() };
    let (_, body_of) = made(spelled, "a@x.org", &call("/", &[], body())).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&body_of).unwrap(), json!({ "vip": "true", "tags": "a, b" }));
    let (_, body_of) =
        made(HttpRules { missing: Missing::Null, ..rules() }, "a@x.org", &call("/", &[], body())).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&body_of).unwrap()["gone"], Value::Null);
}

#[test]
fn a_form_repeats_what_has_a_star() {
    let fields = vec![("email".to_owned(), template("{email}")), ("f[*]".to_owned(), template("{fields}"))];
    let (_, body) = made(rules(), "a+b@x.org", &call("/", &[], CallBody::Form(fields))).unwrap();
    assert_eq!(body, "email=a%2Bb%40x.org&f%5Bgone%5D=&f%5Btags%5D=a&f%5Btags%5D=b&f%5Buid%5D=u%2F1&f%5Bvip%5D=true");
}

#[test]
fn a_call_about_nothing_is_not_made() {
    assert!(made(rules(), "a@x.org", &call("/{kept:nothing}", &[], CallBody::None)).is_none());
    assert!(made(rules(), "a@x.org", &call("/{field:gone}/x", &[], CallBody::None)).is_none(), "empty");
}

#[test]
fn secrets_go_to_headers_and_do_not_print() {
    let settings = settings(rules());
    let mut headers = HeaderMap::new();
    let templates = [(http::HeaderName::from_static("x-key"), template("Key {secret:key}"))];
    Known::default().headers(&templates, &settings.secrets, &mut headers);
    assert_eq!(headers["x-key"], "Key hush");
    assert!(!format!("{headers:?}").contains("hush"));
}
