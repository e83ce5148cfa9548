//! `docs/operations.md` has a table of what is logged, written by hand. Here it is held against the code: what is told of a
//! call that failed is in it, and nothing is in it that isn't told.

use std::path::Path;

fn repository(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            sources(&entry, text);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(entry).unwrap());
        }
    }
}

/// The messages of the table; one that ends in an ellipsis is told without it.
fn told() -> Vec<String> {
    let page = std::fs::read_to_string(repository("docs/operations.md")).unwrap();
    let (_, table) = page.split_once("| message | level |").unwrap();
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = lines.filter_map(|line| line.split('|').nth(1));
    let messages = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect::<Vec<_>>());
    messages.map(|message| message.trim_end_matches(" ...").to_owned()).collect()
}

#[test]
fn the_table_of_messages_has_those_of_calls_and_none_that_is_never_told() {
    let mut code = String::new();
    sources(&repository("src"), &mut code);
    let told = told();
    assert!(told.len() > 10, "{told:?}");
    for message in &told {
        assert!(code.contains(&format!("\"{message}")), "{message:?} is in the table, and never logged");
    }
    let of_calls = code.split("tracing::").skip(1).filter_map(|rest| {
        let (line, _) = rest.split_once(");")?;
        let is_of_a_call = line.starts_with("warn!(") || line.starts_with("error!(");
        (is_of_a_call && line.contains(" operation,")).then(|| line.rsplit('"').nth(1).unwrap().to_owned())
    });
    let of_calls: Vec<_> = of_calls.collect();
    assert!(of_calls.len() > 10, "{of_calls:?}");
    for message in of_calls {
        assert!(told.iter().any(|told| message.starts_with(told)), "{message:?} isn't in the table");
    }
}
