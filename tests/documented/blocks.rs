//! The blocks of shell commands in a document.

/// One block.
pub struct Block {
    /// As it stands, without the indentation that it has in a list.
    pub text: String,
}

impl Block {
    /// Its commands, one a line, without remarks.
    pub fn commands(&self) -> Vec<String> {
        let lines = self.text.lines().map(|line| line.split("  #").next().unwrap_or_default().trim());
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(ToOwned::to_owned).collect()
    }
}

/// All of a document, in its order.
pub fn blocks(document: &str) -> Vec<Block> {
    blocks_of("sh", document)
}

/// The same, of another language.
pub fn blocks_of(language: &str, document: &str) -> Vec<Block> {
    let fence = format!("```{language}");
    let mut found = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        if line.trim() != fence {
            continue;
        }
        let inside = lines.by_ref().take_while(|line| line.trim() != "```");
        let text: Vec<_> = inside.map(|line| line.get(indent..).unwrap_or_default()).collect();
        found.push(Block { text: text.join("\n") });
    }
    found
}
