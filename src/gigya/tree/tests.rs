use super::*;
use proptest::prelude::*;
use serde_json::json;

fn read(text: &str) -> Result<Tree, serde_json::Error> {
    let mut tree = Tree::of(text);
    let mut reader = Reader::new(text, 0);
    tree.read(&mut reader)?;
    reader.end().map(|()| tree)
}

#[test]
fn all_of_json_is_read_as_it_is() {
    let all = json!({
        "": null, "a": [true, false, [], {}], "n": [0, -1, i64::MIN, i64::MAX, u64::MAX, 1.5, -0.0, 1e300],
        "s": ["", "plain", "\"\\\n\u{1F600}é", "\u{0}"], "deep": {"a\"b": {"c": [{"d": "e"}]}},
    });
    for text in [all.to_string(), serde_json::to_string_pretty(&all).unwrap()] {
        assert_eq!(Part::new(&text, &read(&text).unwrap(), 0).to_value(), all);
    }
}

#[test]
fn what_is_asked_for_is_found_by_name_and_kind() {
    let text =
        r#"{"a":1,"flag":true,"large":18446744073709551615,"list":["x",2],"a":"last","\u0062":"un\u0065scaped"}"#;
    let tree = read(text).unwrap();
    let part = Part::new(text, &tree, 0);
    assert_eq!(part.get("a").unwrap().as_str(), Some("last"));
    assert_eq!(part.get("b").unwrap().as_str(), Some("unescaped"));
    assert_eq!(part.get("flag").unwrap().as_bool(), Some(true));
    assert_eq!(part.get("large").unwrap().as_i64(), None);
    assert_eq!(part.get("list").unwrap().step("1").unwrap().as_i64(), Some(2));
    assert_eq!(part.step("a").unwrap().as_str(), Some("last"));
    assert!(part.get("list").unwrap().get("1").is_none());
    assert_eq!(part.get("list").unwrap().items().filter_map(Part::as_str).collect::<Vec<_>>(), ["x"]);
    assert_eq!(part.items().count(), 0);
    for (part, name) in [(part, "c"), (part.get("list").unwrap(), "2"), (part.get("list").unwrap(), "x")] {
        assert!(part.step(name).is_none(), "{name}");
    }
    let text = part.get("a").unwrap();
    assert!(text.get("a").is_none() && text.as_bool().is_none() && text.as_i64().is_none());
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
    assert!(read(&nested(DEEPEST)).is_ok());
    for bad in [r#""\ud800""#, r#"{"\ud800":1}"#, "1e999", "[-1e999]", &nested(DEEPEST + 1), &"[".repeat(1_000_000)] {
        assert!(read(bad).is_err(), "{bad:.20}");
    }
}

/// JSON, and what is nearly JSON: with one thing put in, left out, or put for another.
pub fn nearly_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["null", "true", "false", "0", "-0", "17", "-2.5e3", "1e999", "18446744073709551616"])
            .prop_map(ToOwned::to_owned),
        ".{0,20}".prop_map(|text| Value::from(text).to_string()),
        r#""([a-z]{0,9}|\\u(d8|00)[0-9a-f]{2}|\\["nx]){0,3}""#,
    ];
    let json = leaf.prop_recursive(4, 24, 4, |inner| {
        let between = "[ \n\r\t]{0,2}";
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..4), between)
                .prop_map(|(items, blank)| format!("[{blank}{}{blank}]", items.join(&format!(",{blank}")))),
            (prop::collection::vec(("[a-c]\"?", inner), 0..4), between).prop_map(|(members, blank)| {
                let members = members.into_iter().map(|(name, value)| format!("{}{blank}:{value}", Value::from(name)));
                format!("{{{}{blank}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    });
    let other = prop::sample::select(vec![
        "", "", ",", ":", "\"", "\\", "{", "}", "[", "]", "-", ".", "e", "0", "t", " ", "\u{1}", "\u{b}", "é",
    ]);
    (json, any::<prop::sample::Index>(), 0..2_usize, other).prop_map(|(json, at, out, other)| {
        let mut chars: Vec<_> = json.chars().collect();
        let at = at.index(chars.len() + 1);
        let end = (at + out).min(chars.len());
        chars.splice(at..end, other.chars());
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_read_is_what_serde_json_reads_and_nothing_else(text in nearly_json()) {
        let read = read(&text).ok().map(|tree| Part::new(&text, &tree, 0).to_value());
        prop_assert_eq!(read, serde_json::from_str::<Value>(&text).ok());
    }

    #[test]
    fn what_is_passed_over_is_what_serde_json_passes_over(text in nearly_json()) {
        let mut reader = Reader::new(&text, 0);
        let passed = reader.pass_over().and_then(|()| reader.end());
        prop_assert_eq!(passed.is_ok(), serde_json::from_str::<IgnoredAny>(&text).is_ok());
    }

    #[test]
    fn what_is_no_json_does_no_harm(text in "[\\[\\]{}\",:\\\\ tfn1é-]{0,40}|.*") {
        prop_assert_eq!(read(&text).is_ok(), serde_json::from_str::<Value>(&text).is_ok());
    }
}

#[test]
fn what_breaks_off_is_an_error() {
    let all = r#"{"a\"b":[1,-2.5e3,true,false,null,{"c":"d\\"}], "e" : "f"}"#;
    for end in 0..all.len() {
        assert!(read(&all[..end]).is_err(), "{}", &all[..end]);
    }
}

#[test]
fn it_takes_little_room() {
    assert_eq!((size_of::<Entry>(), size_of::<Text>()), (32, 16));
}
