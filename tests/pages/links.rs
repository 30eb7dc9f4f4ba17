//! The links of a Markdown page. The main structure is [`Page`].

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{read, root};

/// The Markdown files at and below `directory`, as sorted paths from the root. Build output,
/// installed packages and hidden directories are skipped.
pub(crate) fn pages(directory: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from(directory)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(root().join(&directory)).expect("the directory exists") {
            let entry = entry.expect("the directory can be read");
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let skipped = name.starts_with('.') && name != ".github";
            if skipped || ["target", "node_modules"].contains(&&*name) {
                continue;
            }
            let path = directory.join(&*name);
            if entry.file_type().expect("the entry exists").is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.strip_prefix(".").map_or(path.clone(), Path::to_owned));
            }
        }
    }
    found.sort();
    found
}

/// A page with its path from the root.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    prose: String,
}

impl Page {
    pub(crate) fn read(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let prose = prose(&read(&path));
        Self { path, prose }
    }

    /// The definitions `[label]: target`.
    pub(crate) fn definitions(&self) -> Vec<(String, String)> {
        let definition = |line: &str| {
            let (label, target) = line.strip_prefix('[')?.split_once("]: ")?;
            Some((label.to_owned(), target.to_owned()))
        };
        self.prose.lines().filter_map(definition).collect()
    }

    /// The labels in the second brackets of `[text][label]`.
    pub(crate) fn used_labels(&self) -> Vec<String> {
        let after = self.prose.split("][").skip(1);
        after.filter_map(|text| Some(text.split_once(']')?.0.to_owned())).collect()
    }

    /// The targets of `[text](target)`.
    pub(crate) fn inline_targets(&self) -> Vec<String> {
        let after = self.prose.split("](").skip(1);
        after.filter_map(|text| Some(text.split_once(')')?.0.to_owned())).collect()
    }

    /// All targets that are not addresses, each with the file it leads to, as a path from the root,
    /// and its heading.
    pub(crate) fn relative_targets(&self) -> Vec<(PathBuf, String)> {
        let defined = self.definitions().into_iter().map(|(_, target)| target);
        let targets = self.inline_targets().into_iter().chain(defined);
        let relative = targets.filter(|target| !target.contains("://") && !target.contains("::"));
        let resolved = relative.map(|target| {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = match file {
                "" => self.path.clone(),
                file => normal(&self.path.with_file_name(file)),
            };
            (file, anchor.to_owned())
        });
        resolved.collect()
    }

    /// Whether the page has a heading for `#anchor`.
    pub(crate) fn has_anchor(&self, anchor: &str) -> bool {
        let slug = |heading: &str| -> String {
            let kept = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = kept.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        };
        read(&self.path).lines().any(|line| line.starts_with('#') && slug(line) == anchor)
    }
}

/// Panics unless a file exists and has the heading, if one is given.
pub(crate) fn assert_leads_somewhere(from: &str, file: &Path, anchor: &str) {
    assert!(root().join(file).exists(), "{from}: {} does not exist", file.display());
    if !anchor.is_empty() {
        assert!(Page::read(file).has_anchor(anchor), "{from}: {} has no heading #{anchor}", file.display());
    }
}

/// The page without its code blocks and without the text between backticks.
fn prose(page: &str) -> String {
    let mut inside = false;
    let lines = page.lines().filter(|line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    lines.map(|line| line.split('`').step_by(2).collect::<Vec<_>>().join("`") + "\n").collect()
}

/// The path with `..` resolved by its text.
fn normal(path: &Path) -> PathBuf {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.iter().map(|part| part.to_str().expect("paths of this repository are UTF-8")) {
        match part {
            "." => {}
            ".." if !parts.is_empty() => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.iter().collect()
}
