//! The targets of `tracing` events and spans are those that `docs/operations.md` lists.

use std::collections::BTreeSet;

use crate::architecture::{code, files};
use crate::support::read;

/// The macros of events and spans.
const MACROS: [&str; 12] = [
    "trace",
    "debug",
    "info",
    "warn",
    "error",
    "event",
    "span",
    "trace_span",
    "debug_span",
    "info_span",
    "warn_span",
    "error_span",
];

#[test]
fn every_event_and_span_has_a_target_that_the_page_lists() {
    let mut used = BTreeSet::new();
    for path in files("src", "rs").into_iter().chain(files("actors/src", "rs")) {
        let code = code(&path);
        let place = path.display();
        let imported = MACROS.iter().find(|name| imports(&code, name));
        assert_eq!(imported, None, "{place} imports a macro; write tracing::…!(target: …)");
        for (at, _) in code.match_indices("tracing::") {
            let rest = &code[at + "tracing::".len()..];
            let Some((name, arguments)) = rest.split_once("!(") else { continue };
            // `$level` is a parameter of a macro that makes events.
            if !MACROS.contains(&name) && name != "$level" {
                continue;
            }
            let target = arguments.trim_start().strip_prefix("target: \"").unwrap_or_else(|| {
                panic!("{place}: an event has no target: {}", &arguments[..arguments.len().min(80)])
            });
            used.insert(target.split('"').next().unwrap_or_default().to_owned());
        }
    }
    let page = read("docs/operations.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `pyproc::"));
    let listed: BTreeSet<_> =
        rows.map(|row| format!("pyproc::{}", row.split('`').next().unwrap_or_default())).collect();
    assert_eq!(used, listed);
}

/// Whether a file imports a macro by its name, so that its use would not be found.
fn imports(code: &str, name: &str) -> bool {
    let imports = code.split("use tracing::").skip(1).filter_map(|rest| rest.split(';').next());
    imports.flat_map(|list| list.split(|c: char| !c.is_alphanumeric() && c != '_')).any(|word| word == name)
}
