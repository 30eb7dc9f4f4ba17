//! Compares the output of a command with the page, except for what varies between runs. The main
//! item is [`matches`].

/// Whether the lines of `actual` match those of `expected`.
///
/// A line `…` or `...` stands for any lines, and a `…` in a line for any text. Versions of Python,
/// directories in tracebacks, ports, and the marks under the lines of a traceback, which some
/// versions of Python omit, are ignored; so are numbers if `figures` is set, for measured values.
pub(crate) fn matches(expected: &str, actual: &str, figures: bool) -> bool {
    let plain = |text: &str| -> Vec<String> {
        let lines = text.lines().map(str::trim_end).filter(|line| !is_mark(line));
        lines.map(|line| if figures { without_figures(&usual(line)) } else { usual(line) }).collect()
    };
    let (expected, actual) = (plain(expected), plain(actual));
    lines_match(&expected, &actual)
}

fn lines_match(expected: &[String], actual: &[String]) -> bool {
    let Some((first, rest)) = expected.split_first() else { return actual.is_empty() };
    if first == "…" || first == "..." {
        return (0..=actual.len()).any(|skipped| lines_match(rest, &actual[skipped..]));
    }
    let Some((line, others)) = actual.split_first() else { return false };
    line_matches(first, line) && lines_match(rest, others)
}

fn line_matches(expected: &str, actual: &str) -> bool {
    let Some((head, tail)) = expected.split_once('…') else { return expected == actual };
    let Some(rest) = actual.strip_prefix(head) else { return false };
    (0..=rest.len()).any(|at| rest.is_char_boundary(at) && line_matches(tail, &rest[at..]))
}

/// Whether the line only marks a part of the line above, in a traceback.
fn is_mark(line: &str) -> bool {
    line.contains(['^', '~']) && line.chars().all(|c| " ^~".contains(c))
}

fn usual(line: &str) -> String {
    let line = replace_after(line, "Python ", |c| c.is_ascii_digit() || c == '.', "3");
    let line = replace_after(&line, "127.0.0.1:", |c| c.is_ascii_digit(), "PORT");
    let Some((head, path)) = line.split_once("File \"") else { return line };
    let Some((path, tail)) = path.split_once('"') else { return line };
    let name = path.rsplit('/').next().unwrap_or_default();
    format!("{head}File \"{name}\"{tail}")
}

/// Replaces what follows each `marker` by `with`.
fn replace_after(line: &str, marker: &str, part: impl Fn(char) -> bool, with: &str) -> String {
    let mut pieces = line.split(marker);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(&part);
        out += marker;
        out += if rest.len() < piece.len() { with } else { "" };
        out += rest;
    }
    out
}

/// The line with `#` for each number, except in names such as p50, and with single spaces.
fn without_figures(line: &str) -> String {
    let mut out = String::new();
    for c in line.chars() {
        match c {
            '0'..='9' | '.' if out.ends_with('#') => {}
            '0'..='9' if !out.ends_with(char::is_alphanumeric) => out.push('#'),
            ' ' if out.ends_with(' ') => {}
            _ => out.push(c),
        }
    }
    out
}

#[test]
fn transcript_is_compared_but_for_what_varies() {
    let traceback = "  File \"/srv/worker.py\", line 3, in f\n    a / b\n    ~~^~~\n";
    let rows = [
        ("a\n…\nd\n", "a\nb\nc\nd\n", false, true),
        ("a\n...\nd\n", "a\nd\n", false, true),
        ("a\n…\nd\n", "a\nb\n", false, false),
        ("x … z\n", "x y z\n", false, true),
        ("x … z\n", "x y\n", false, false),
        ("4 functions, Python 3.11.7\n", "4 functions, Python 3.9.18\n", false, true),
        ("on http://127.0.0.1:8000/x\n", "on http://127.0.0.1:41234/x\n", false, true),
        (traceback, "  File \"/home/me/worker.py\", line 3, in f\n    a / b\n", false, true),
        (traceback, "  File \"/home/me/worker.py\", line 4, in f\n    a / b\n", false, false),
        ("p50   136.2 µs\n", "p50  9.0 µs\n", true, true),
        ("p50   136.2 µs\n", "p95  9.0 µs\n", true, false),
        ("84\n", "85\n", false, false),
        ("", "x\n", false, false),
    ];
    for (expected, actual, figures, same) in rows {
        assert_eq!(matches(expected, actual, figures), same, "{expected:?} {actual:?}");
    }
}
