//! `commands.md`, of what `--help` says.

use crate::hold;
use clap::CommandFactory;
use gigya_esp_gateway::cli::{Cli, Ended};
use std::fmt::Write;

#[test]
fn the_page_of_commands_is_current() {
    let mut page = String::from("# Commands and exit status\n");
    let mut cli = Cli::command().term_width(100);
    cli.build();
    let help = |command: &mut clap::Command| command.render_long_help().to_string().trim_end().to_owned();
    write!(page, "\n```text\n{}\n```\n", help(&mut cli)).unwrap();
    for command in cli.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        let name = command.get_name().to_owned();
        write!(page, "\n## `{name}`\n\n```text\n{}\n```\n", help(command)).unwrap();
    }
    page.push_str("\n## Exit status\n\n| status | meaning |\n| --- | --- |\n");
    for ended in Ended::ALL {
        writeln!(page, "| {} | {} |", ended.status(), ended.meaning()).unwrap();
    }
    hold("commands.md", &page);
}
