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
    write!(page, "\n```text\n{}\n```\n", help(&mut cli)).unwrap();
    tell(&mut page, &mut cli, "", "##");
    page.push_str("\n## Exit status\n\n| status | meaning |\n| --- | --- |\n");
    for ended in Ended::ALL {
        writeln!(page, "| {} | {} |", ended.status(), ended.meaning()).unwrap();
    }
    hold("commands.md", &page);
}

fn help(command: &mut clap::Command) -> String {
    command.render_long_help().to_string().trim_end().to_owned()
}

/// The commands below one, each with those below it.
fn tell(page: &mut String, of: &mut clap::Command, before: &str, heading: &str) {
    for command in of.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        let name = format!("{before}{}", command.get_name());
        write!(page, "\n{heading} `{name}`\n\n```text\n{}\n```\n", help(command)).unwrap();
        tell(page, command, &format!("{name} "), &format!("{heading}#"));
    }
}
