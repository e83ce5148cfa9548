//! What was found: tables for people, a file for machines, a picture. And what should have held, but didn't.

use crate::plot::{self, Plot};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Everything found so far.
#[derive(Default)]
pub struct Report {
    tables: Vec<Value>,
    plots: Vec<Plot>,
    held: usize,
    broken: Vec<String>,
}

impl Report {
    /// Prints a table, and keeps it.
    pub fn table(&mut self, title: &str, heads: &[&str], rows: &[Vec<String>]) {
        println!("\n{title}\n\n| {} |\n|{}", heads.join(" | "), "---|".repeat(heads.len()));
        for row in rows {
            println!("| {} |", row.join(" | "));
        }
        self.tables.push(json!({ "title": title, "columns": heads, "rows": rows }));
    }

    /// Keeps a plot.
    pub fn plot(&mut self, plot: Plot) {
        self.plots.push(plot);
    }

    /// Something that must hold. If it doesn't, the whole run fails at its end.
    pub fn must(&mut self, holds: bool, what: &str) {
        if holds {
            self.held += 1;
        } else {
            self.broken.push(what.to_owned());
        }
    }

    /// Writes the files; returns whether everything held.
    pub fn finish(self) -> bool {
        let plots: Vec<Value> = self.plots.iter().map(Plot::to_json).collect();
        let all = json!({ "tables": self.tables, "plots": plots, "held": self.held, "broken": self.broken });
        let file = target("json");
        std::fs::write(&file, format!("{all:#}\n")).unwrap();
        println!("\nFor machines: {}", file.display());
        if !self.plots.is_empty() {
            let picture = target("svg");
            std::fs::write(&picture, plot::draw(&self.plots)).unwrap();
            println!("The picture: {}", picture.display());
        }
        println!("{} of {} that must hold do", self.held, self.held + self.broken.len());
        for broken in &self.broken {
            println!("BROKEN: {broken}");
        }
        self.broken.is_empty()
    }
}

fn target(extension: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("gateway-bench").with_extension(extension)
}
