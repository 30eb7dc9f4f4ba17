//! Each sentence of `docs/semantics.md` names a test, and the tests that the pages name exist.

use std::path::PathBuf;

use crate::support::{read, root};

/// The file that a test named `prefix::name` is in.
fn file(prefix: &str) -> PathBuf {
    match prefix.split_once('/') {
        Some(("actors", name)) => root().join("actors/tests").join(format!("{name}.rs")),
        Some(("cli", name)) => root().join("cli/tests").join(format!("{name}.rs")),
        Some(("python", name)) => root().join("python_workers/tests").join(format!("{name}.py")),
        _ => {
            let test = root().join("tests").join(format!("{prefix}.rs"));
            if test.exists() { test } else { root().join("src").join(format!("{prefix}.rs")) }
        }
    }
}

/// The tests that a line names: `file::name` between backticks.
pub(crate) fn named(line: &str) -> Vec<(&str, &str)> {
    let quoted = line.split('`').skip(1).step_by(2);
    let paths = quoted.filter_map(|text| text.split_once("::"));
    // Names of types and their constants begin with capitals.
    paths.filter(|(file, name)| file.starts_with(char::is_lowercase) && !name.contains([' ', '('])).collect()
}

pub(crate) fn exists((prefix, name): (&str, &str)) {
    let path = file(prefix);
    let code = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let exists = code.contains(&format!("fn {name}()")) || code.contains(&format!("def {name}(self)"));
    assert!(exists, "{path:?} has no test {name}");
}

#[test]
fn every_rule_of_the_gateway_names_a_test_that_exists() {
    let page = read("docs/gateway.md");
    let rules = page.split("## Access\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let rules = rules.expect("the page has a section of rules");
    let rows = rules
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| rule") && !line.starts_with("| --"));
    assert!(rows.clone().count() >= 10);
    for row in rows {
        assert!(!named(row).is_empty(), "no test is named: {row}");
        named(row).into_iter().for_each(exists);
    }
}

#[test]
fn every_line_of_the_threat_model_names_a_test_that_exists() {
    let page = read("docs/threat-model.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| shown by |"));
    let rows: Vec<_> = rows.filter(|line| !line.starts_with("| --")).collect();
    assert!(rows.len() >= 20, "{} lines", rows.len());
    for row in rows {
        assert!(!named(row).is_empty(), "no test is named: {row}");
        named(row).into_iter().for_each(exists);
    }
}

#[test]
fn every_sentence_of_the_contract_names_a_test_that_exists() {
    let page = read("docs/semantics.md");
    let (mut claims, mut tests) = (0, 0);
    // A wrapped list item is one claim.
    for line in page.replace("\n  ", " ").lines() {
        let row = line.starts_with("| ") && !line.starts_with("| --") && !line.starts_with("| what happened");
        if !(row || line.starts_with("- ")) {
            continue;
        }
        claims += 1;
        let named = named(line);
        assert!(!named.is_empty(), "no test is named: {line}");
        tests += named.len();
        named.into_iter().for_each(exists);
    }
    assert!(claims >= 40 && tests >= claims, "{claims} claims, {tests} tests");
}
