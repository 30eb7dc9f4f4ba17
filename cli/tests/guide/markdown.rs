//! The code blocks of a page. The main structure is [`Block`].

use std::path::{Path, PathBuf};

use crate::support::root;

/// A fenced code block.
#[derive(Debug)]
pub(crate) struct Block {
    /// The first word after the fence.
    pub(crate) language: String,
    /// Everything after the fence.
    pub(crate) info: String,
    /// The last line of text before the block.
    pub(crate) caption: String,
    /// The content; each line ends with a line break.
    pub(crate) text: String,
    /// The line number of the fence.
    pub(crate) line: usize,
}

impl Block {
    /// The file name of the block, if its caption begins with a name such as `worker.py` in
    /// backticks.
    pub(crate) fn file(&self) -> Option<&str> {
        let name = self.caption.strip_prefix('`')?.split('`').next()?;
        (name.contains(['.', '/']) && !name.contains(' ')).then_some(name)
    }
}

/// The chapters of the guide and its index, as paths relative to the root.
pub(crate) fn chapters() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("docs/guide")).expect("the guide exists");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("it can be read").file_name()).collect();
    names.sort();
    names.into_iter().map(|name| Path::new("docs/guide").join(name)).collect()
}

/// The code blocks of a page. An indented fence would be overlooked, so it is an error.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut caption = "";
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            assert!(!line.trim_start().starts_with("```"), "line {}: the fence is indented", number + 1);
            if !line.is_empty() {
                caption = line;
            }
            continue;
        };
        let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
        let text = inside.map(|line| format!("{line}\n")).collect();
        let language = info.split([',', ' ']).next().unwrap_or_default();
        blocks.push(Block {
            language: language.to_owned(),
            info: info.to_owned(),
            caption: std::mem::take(&mut caption).to_owned(),
            text,
            line: number + 1,
        });
    }
    blocks
}
