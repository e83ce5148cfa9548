//! The README's table of providers is what the command prints.

use std::process::Command;

#[test]
fn the_readme_has_the_table_that_the_command_prints() {
    let printed =
        Command::new(env!("CARGO_BIN_EXE_gigya-esp-gateway")).args(["providers", "--markdown"]).output().unwrap();
    assert!(printed.status.success());
    let printed = String::from_utf8(printed.stdout).unwrap();
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&printed), "copy this into README.md:\n{printed}");
}
