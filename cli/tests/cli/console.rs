//! Worker output on the terminal: it cannot control the terminal or pass for a message of `pyproc`.

use serde_json::Value;

use crate::harness::{Ended, pyproc};

/// Worker output that a terminal would interpret.
fn acts(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|&c| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{2066}'))
}

#[track_caller]
fn is_plain(ended: &Ended) {
    let stdout = String::from_utf8_lossy(&ended.stdout);
    for text in [&ended.stderr, stdout.as_ref()] {
        assert_eq!(acts(text).collect::<Vec<_>>(), [] as [char; 0], "{text}");
    }
}

#[test]
fn control_characters_of_a_worker_are_escaped_wherever_its_text_comes_out() {
    // All escaped.
    let nasty = r"\x1b]0;title\x07 \x9b2J \u{202e}back\u{2066} \rover";
    for log in ["info", "off"] {
        let ended = pyproc("call", "speaks_in_tongues.py", &["speak", "--log", log]).run().exits(1);
        is_plain(&ended);
        for text in [format!("raised {nasty}"), "error: the function raised __main__.Odd".to_owned()] {
            assert!(ended.stderr.contains(&text), "{text}: {}", ended.stderr);
        }
        let words = [format!("out {nasty}"), format!("err {nasty}"), format!("logged {nasty}")];
        for text in words {
            assert_eq!(ended.stderr.contains(&text), log == "info", "{text}: {}", ended.stderr);
        }
        let ended = pyproc("call", "speaks_in_tongues.py", &["die", "--log", log]).run().exits(3);
        is_plain(&ended);
        assert!(ended.stderr.contains(&format!("err {nasty}")), "{}", ended.stderr);
    }
    let ended = pyproc("check", "speaks_in_tongues.py", &[]).run().exits(0);
    is_plain(&ended);
    let stdout = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(stdout.lines().count(), 3, "{stdout}");
    assert!(stdout.contains(r"na\x1b[2Jme\nerror: forged(text="), "{stdout}");
    assert!(stdout.contains(r"Doc \x1b[2J\u{202e}."), "{stdout}");
}

#[test]
fn line_break_in_the_text_of_a_worker_begins_no_line_of_the_log() {
    // With two workers, every line of a worker starts with its slot.
    let args = ["speak", "--workers", "2", "--log", "info"];
    let ended = pyproc("call", "speaks_in_tongues.py", &args).run().exits(1);
    let forged = ended.stderr.lines().filter(|line| line.starts_with("error: forged")).count();
    assert_eq!(forged, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains(r"] warning: db\nerror: forged: logged "), "{}", ended.stderr);
    assert!(ended.stderr.contains("\n  error: forged\n"), "{}", ended.stderr);
}

#[test]
fn json_log_has_one_object_a_line_with_time_level_target_and_fields() {
    let args = ["speak", "--log", "debug", "--log-format", "json"];
    let ended = pyproc("call", "speaks_in_tongues.py", &args).run().exits(1);
    let entries: Vec<Value> = (ended.stderr.lines())
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect();
    is_plain(&ended);
    for entry in &entries {
        let time = entry["timestamp"].as_str().unwrap_or_default();
        assert!(time.len() == "2026-01-01T00:00:00.000000Z".len() && time.ends_with('Z'), "{entry}");
        assert!(entry["level"].is_string() && entry["fields"]["message"].is_string(), "{entry}");
    }
    let of = |target: &str| entries.iter().find(|entry| entry["target"] == target).expect(target);
    assert_eq!(of("pyproc::stdout")["fields"]["slot"], 0);
    assert!(of("pyproc::log")["fields"]["logger"].is_string());
    let last = entries.last().expect("there are lines");
    assert_eq!((&last["level"], &last["target"]), (&"ERROR".into(), &"pyproc".into()));
    let message = last["fields"]["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("the function raised __main__.Odd"), "{message}");
}
