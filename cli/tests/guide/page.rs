//! Does what a page shows, in a temporary directory. The main structure is [`Walk`].

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use actix_pyproc::PoolConfig;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::markdown::{Block, blocks};
use crate::shell::{self, Running};
use crate::support::blocking::until;
use crate::support::{CAP, read, root};
use crate::transcript::matches;

/// The address of the gateway on the pages. In tests it listens on a free port.
const ADDRESS: &str = "127.0.0.1:8000";

/// A walk through a page from top to bottom.
pub(crate) struct Walk {
    /// The path of the page, for messages.
    page: String,
    /// All commands, with their background processes. They are dropped before the directory.
    runs: Vec<Running>,
    directory: TempDir,
    /// The output of the commands; they do not see it.
    outputs: TempDir,
    /// The commands in `runs` that serve, and the address of the last one.
    servers: Vec<usize>,
    address: Option<String>,
    /// The exit code of the last command.
    code: i32,
}

/// Whether the directory of an example requires a Python library.
fn needs_libraries(example: &Path) -> bool {
    let requirements = fs::read_to_string(root().join(example).join("requirements.txt")).unwrap_or_default();
    requirements.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
}

impl Walk {
    pub(crate) fn new(page: &str) -> Self {
        let directory = || tempfile::tempdir().expect("the disk has room");
        Self {
            page: page.to_owned(),
            runs: Vec::new(),
            directory: directory(),
            outputs: directory(),
            servers: Vec::new(),
            address: None,
            code: 0,
        }
    }

    /// The directory in which the commands run.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Does what each block of the page shows, except for blocks that `skip` accepts; panics if a
    /// block is wrong.
    ///
    /// | language | action |
    /// | --- | --- |
    /// | `python` | written to the file that the caption names; `pyproc check` must accept a worker |
    /// | `sh` | run by bash, which stops at the first command that fails |
    /// | `console` | the command after each `$ ` is run, and must print the lines below it |
    /// | `toml` | checked as a configuration of a pool or as `[dependencies]`; written to a file if the caption names one |
    /// | `rust` | nothing: it is a doctest |
    /// | `text` | nothing |
    /// | `ini`, `dockerfile`, `yaml` | compared with the file of the repository that the caption names |
    ///
    /// A block of any language whose caption names a file below `examples/` is that file.
    pub(crate) fn walk(mut self, skip: impl Fn(&Block) -> bool) {
        let page = read(&self.page);
        for block in blocks(&page).iter().filter(|block| !skip(block)) {
            self.block(block);
        }
        self.end();
    }

    fn block(&mut self, block: &Block) {
        let place = format!("{}:{}", self.page, block.line);
        if let Some(example) = block.file().filter(|name| name.starts_with("examples/")) {
            assert_eq!(block.text, read(example), "{place} is not {example}");
        }
        match (block.language.as_str(), block.file()) {
            ("python", Some(name)) => self.python(&place, name, &block.text),
            ("python", None) => {
                panic!("{place}: the line before the block must start with the name of the file")
            }
            ("sh", _) => self.sh(&place, &block.text),
            ("console", _) => self.console(&place, &block.text),
            ("toml", name) => self.toml(&place, name, &block.text),
            ("rust", _) => assert!(!block.info.contains("ignore"), "{place}: the block is never compiled"),
            ("text", _) => {}
            ("ini" | "dockerfile" | "yaml", Some(name)) if name.starts_with("examples/") => {}
            (language, _) => panic!("{place}: unknown language {language:?}"),
        }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.directory().join(name);
        fs::create_dir_all(path.parent().expect("it is in the directory")).expect("it can be created");
        fs::write(path, text).expect("the disk has room");
    }

    fn python(&mut self, place: &str, name: &str, text: &str) {
        self.write(name, text);
        // CI runs the examples that need libraries, in environments that have them.
        let runs_here = Path::new(name).parent().is_none_or(|example| !needs_libraries(example));
        if text.contains("pyproc_worker") && runs_here {
            let (code, output) = self.run(&format!("pyproc check {name}"));
            assert_eq!(code, 0, "{place}: {output}");
        }
    }

    fn toml(&self, place: &str, name: Option<&str>, text: &str) {
        if text.starts_with("[dependencies]") {
            return dependencies(place, text);
        }
        let config = PoolConfig::from_toml_str(text).unwrap_or_else(|error| panic!("{place}: {error}"));
        config.validate().unwrap_or_else(|error| panic!("{place}: {error}"));
        if let Some(name) = name {
            self.write(name, text);
        }
    }

    fn sh(&mut self, place: &str, text: &str) {
        let (code, output) = self.run(&format!("set -e\n{text}"));
        assert_eq!(code, 0, "{place}:\n{text}{output}");
    }

    fn console(&mut self, place: &str, text: &str) {
        let commands = commands(text);
        assert!(!commands.is_empty(), "{place}: the block has no prompt");
        for (at, (command, expected)) in commands.iter().enumerate() {
            let place = format!("{place}: {command}");
            if command.starts_with("pyproc serve ") {
                self.serve(&place, command, expected);
                continue;
            }
            self.code = self.check_output(&place, command, expected);
            let shows_code = commands.get(at + 1).is_some_and(|(next, _)| next.contains("$?"));
            let may_fail = shows_code || expected.lines().any(|line| line.starts_with("error: "));
            assert!(
                self.code == 0 || may_fail,
                "{place}: it fails with {}, and the page does not show this",
                self.code
            );
        }
    }

    /// Runs a command and compares its output; returns its exit code. A command that only reads is
    /// repeated until it prints what is expected, because people type slower than workers start.
    fn check_output(&mut self, place: &str, command: &str, expected: &str) -> i32 {
        let figures = ["pyproc bench ", "pyproc chaos "].iter().any(|begin| command.starts_with(begin));
        let only_reads = command.starts_with("curl -s http");
        let begun = Instant::now();
        loop {
            let (code, output) = self.run(&format!("(exit {})\n{command}", self.code));
            if matches(expected, &output, figures) {
                return code;
            }
            assert!(
                only_reads && begun.elapsed() < CAP,
                "{place}\nmust print\n{expected}but prints, with exit code {code},\n{output}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts a gateway that serves until the end of the page.
    fn serve(&mut self, place: &str, command: &str, expected: &str) {
        let run = self.start(&format!("exec {command} --listen 127.0.0.1:0"));
        let server = &self.runs[run];
        let address = until(&format!("{place} to print\n{expected}"), || {
            let output = server.output();
            assert!(server.try_code().is_none(), "{place}: it ended: {output}");
            let (_, address) = output.split_once("listening on http://")?;
            let address = address.split_once('\n')?.0.to_owned();
            matches(expected, &output, false).then_some(address)
        });
        self.address = Some(address);
        self.servers.push(run);
    }

    /// Runs a script; returns its exit code and its output. Its background processes keep running.
    fn run(&mut self, script: &str) -> (i32, String) {
        let run = self.start(script);
        (self.runs[run].code(), self.runs[run].output())
    }

    fn start(&mut self, script: &str) -> usize {
        let script = match &self.address {
            Some(address) => script.replace(ADDRESS, address),
            None => script.to_owned(),
        };
        let output = self.outputs.path().join(self.runs.len().to_string());
        self.runs.push(shell::start(&script, self.directory.path(), output));
        self.runs.len() - 1
    }

    /// Ends the gateways with SIGINT or SIGTERM, as users do.
    fn end(self) {
        for server in self.servers.iter().map(|&run| &self.runs[run]) {
            server.signal(Signal::TERM);
            assert_eq!(server.code(), 0, "{}: {}", self.page, server.output());
        }
    }
}

/// The commands of a block with their expected output. A backslash at the end of a line continues a
/// command.
fn commands(text: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push((command.to_owned(), String::new()));
            continue;
        }
        let (command, expected) = commands.last_mut().expect("a block of commands starts with `$ `");
        let into = if command.ends_with('\\') { command } else { expected };
        into.push_str(line);
        into.push('\n');
    }
    commands
}

/// Dependencies on this crate name this version and existing features.
fn dependencies(place: &str, text: &str) {
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).expect("cargo reads it");
    let features = manifest["features"].as_table().expect("the manifest has features");
    let block: toml::Table = toml::from_str(text).unwrap_or_else(|error| panic!("{place}: {error}"));
    let mut found = 0;
    for dependency in block.values().filter_map(|section| section.get("actix-pyproc")) {
        found += 1;
        let version =
            dependency.get("version").unwrap_or(dependency).as_str().expect("the dependency has a version");
        let own = env!("CARGO_PKG_VERSION");
        assert!(own == version || own.starts_with(&format!("{version}.")), "{place}: {version} is not {own}");
        let wanted = dependency.get("features").and_then(toml::Value::as_array);
        for feature in wanted.into_iter().flatten().filter_map(toml::Value::as_str) {
            assert!(features.contains_key(feature), "{place}: unknown feature {feature}");
        }
    }
    assert!(found > 0, "{place}: nothing depends on this crate");
}
