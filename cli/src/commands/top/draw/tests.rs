use actix_pyproc::http::page::PageEvent;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;
use serde_json::json;

use super::super::model::Model;
use super::super::text;
use super::super::view::View;
use super::panes::share;
use super::{Theme, draw};

const AT: u64 = 1_700_000_000_000;

/// A gateway with two workers, one of which has been killed.
fn model() -> Model {
    let slot = |slot: u32, state: &str, pid: Option<u32>| {
        json!({"slot": slot, "state": state, "pid": pid, "generation": slot, "uptime_ms": 62_000, "rss_bytes": 19 << 20,
            "cpu_ms": 900, "in_flight": 3, "calls": 12_345, "restarts": slot,
            "last_exit": (slot == 1).then_some("killed by SIGKILL")})
    };
    let latency = json!({"count": 9, "p50_us": 520, "p95_us": 1200, "p99_us": 3400, "max_us": 80_000});
    let status = json!({"ready": true, "reason": null, "at": AT, "uptime_ms": 182_000, "serving": 1, "queued": 7, "in_flight": 3,
        "restarts": 1, "slots": [slot(0, "serving", Some(4711)), slot(1, "backoff", None)],
        "functions": [{"function": "predict", "ok": 12_345, "errors": {"exception": 2}, "latency": latency, "queue_wait": latency}],
        "oldest_calls": [
            {"function": "predict", "slot": 0, "stage": "running", "age_ms": 4200, "running_ms": 4000, "left_ms": 25_800},
            {"function": "resize", "slot": null, "stage": "queued", "age_ms": 12}]});
    let points: Vec<_> = (0..200)
        .map(|t| {
            let p50 = (t != 100).then_some(500 + t);
            json!({"t": AT - 1000 * (199 - t), "calls": t * 10, "errors": 0.5, "p50": p50, "p95": 1200, "p99": 3400, "wait_p50": 40, "wait_p99": 9000, "queued": 7, "in_flight": 3})
        })
        .collect();
    let incident = json!({"at_unix_ms": AT - 12_000, "slot": 1, "generation": 1, "pid": 4712, "cause": "crashed",
        "what": "killed by SIGKILL", "lost_calls": 1, "requeued": 2, "stderr": ["\u{1b}[31mthe last\twords", "x".repeat(200)],
        "stacks": null, "calls": [{"function": "predict", "stage": "running", "age_ms": 900, "running_ms": 850}]});
    let crash = json!({"count": 3, "first_unix_ms": AT - 60_000, "slots": [0, 1], "functions": {"predict": 3, "a": 1},
        "last": incident});
    let failures = json!([
        {"function": "predict", "kind": "exception", "type_name": "__main__.Refused", "count": 2, "at_unix_ms": AT - 3000,
            "message": "no\u{1b}[31m money", "traceback": "Traceback:\n  File \"w.py\"\nRefused: no money"},
        {"function": "resize", "kind": "invalid_argument", "count": 1, "at_unix_ms": AT - 90_000, "message": "x: missing"}]);
    let log = json!([
        {"number": 1, "at_unix_ms": AT, "slot": 0, "pid": 7, "source": "stdout", "level": "info", "text": "printed"},
        {"number": 2, "at_unix_ms": AT, "slot": 1, "pid": 8, "source": "log", "level": "error", "logger": "app", "text": "\u{1b}[2Jno"}]);
    let mut model = Model::default();
    apply(
        &mut model,
        "about",
        &json!({"worker": "worker.py", "python": "3.13.1", "version": "0.1.0", "control": true}),
    );
    apply(
        &mut model,
        "hello",
        &json!({"points": points, "status": status, "incidents": [incident], "crashes": [crash],
            "failures": failures, "log": log}),
    );
    model
}

fn apply(model: &mut Model, name: &str, data: &serde_json::Value) {
    let event = PageEvent::read(name, &data.to_string()).expect("it can be read");
    model.apply(event.expect("it is known"));
}

fn picture(model: &Model, view: &mut View, (width, height): (u16, u16), colors: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("it only writes to memory");
    terminal.draw(|frame| draw(frame, model, view, Theme { colors })).expect("it only writes to memory");
    terminal.backend().buffer().clone()
}

/// The lines of a picture.
fn lines(buffer: &Buffer) -> Vec<String> {
    let row = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..buffer.area.height).map(row).collect()
}

fn shown(model: &Model, view: &mut View, size: (u16, u16)) -> String {
    lines(&picture(model, view, size, true)).join("\n")
}

fn press(view: &mut View, model: &Model, keys: &[KeyCode]) {
    for &key in keys {
        let _ = view.key(KeyEvent::new(key, KeyModifiers::NONE), model);
    }
}

#[track_caller]
fn has(picture: &str, expected: &[&str]) {
    for text in expected {
        assert!(picture.contains(text), "no {text:?} in\n{picture}");
    }
}

#[test]
fn pool_that_serves_is_seen_at_80_by_24() {
    let picture = shown(&model(), &mut View::new(false), (80, 24));
    let lines: Vec<&str> = picture.lines().collect();
    has(lines[0], &[" worker.py  ready ", "up 3m 2s · 1/2 serving · Python 3.13.1"]);
    has(lines[1], &[" calls/s 1,990 err 0.5 ", " p50 699µs p95 1.2ms p99 3.4ms ", " in-fl 3 queue 7 "]);
    has(&picture, &["100µs", "10ms", "Workers 2  Functions 1  Errors 2  Calls 2  Crashes 1  Log 2"]);
    has(lines[9], &["slot state     gen     pid     rss  cpu in-fl   calls rst last exit"]);
    has(lines[10], &["   0 serving     0    4711  19 MiB    –     3  12,345   0 –"]);
    has(lines[11], &["   1 backoff     1       –  19 MiB    –     3  12,345   1 killed by SIGKILL"]);
    has(lines[23], &["q quit", "Enter details"]);
    assert!(!lines[23].contains("restart"), "without a token there is no such key");
    assert!(picture.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "there are lines in the charts");
}

#[test]
fn large_terminal_shows_all_tables_and_the_keys_that_a_token_opens() {
    let picture = shown(&model(), &mut View::new(true), (120, 40));
    has(
        &picture,
        &[
            "Workers 2",
            "Functions 1",
            "Errors 2  Calls 2  Crashes 1  Log 2",
            "1m 2s",
            "r restart",
            "R reload",
            "D drain",
            "pyproc 0.1.0",
        ],
    );
    has(&picture, &["predict", "12,345", "520µs", "80.0ms", "wait 40µs p99 9ms"]);
    has(&picture, &["predict        Refused                 2      3s no\\x1b[31m money"]);
    has(&picture, &["resize         invalid argument        1  1m 30s x: missing"]);
}

#[test]
fn small_terminal_has_a_line_for_each_chart_and_one_table() {
    let picture = shown(&model(), &mut View::new(false), (60, 16));
    let lines: Vec<&str> = picture.lines().collect();
    has(lines[0], &["worker.py", "ready", "up 3m 2s · 1/2 serving"]);
    has(lines[1], &[" calls/s ", "▇", "calls/s 1,990 err 0.5"]);
    has(lines[2], &[" p99 ", "p50 699µs p95 1.2ms p99 3.4ms"]);
    has(&picture, &["slot state         pid     rss  cpu last exit", "killed by SIGKILL"]);
}

#[test]
fn no_size_is_too_small_to_be_drawn() {
    let model = model();
    let enter = [KeyCode::Enter];
    let tabs = [KeyCode::Tab, KeyCode::Tab, KeyCode::Enter];
    for keys in [&[][..], &enter, &tabs, &[KeyCode::Char('?')], &[KeyCode::Char('D')]] {
        for width in [1, 2, 3, 7, 20, 59, 80, 200] {
            for height in [1, 2, 3, 4, 7, 12, 16, 22, 36, 60] {
                let mut view = View::new(true);
                press(&mut view, &model, keys);
                picture(&model, &mut view, (width, height), true);
                picture(&Model::default(), &mut view, (width, height), true);
            }
        }
    }
}

#[test]
fn pool_that_is_not_ready_says_why() {
    let mut model = model();
    apply(&mut model, "status", &json!({"ready": false, "reason": "no worker can start", "at": AT}));
    let picture = shown(&model, &mut View::new(false), (80, 24));
    has(&picture, &["worker.py  not ready: no worker can start", "There are no workers."]);
}

#[test]
fn connection_that_is_lost_is_seen_with_its_reason_and_the_last_that_was_told() {
    let mut model = model();
    model.lost("http://h:1: Connection refused".to_owned());
    let buffer = picture(&model, &mut View::new(false), (80, 24), true);
    let picture = lines(&buffer).join("\n");
    has(&picture, &["connection lost, trying again", "http://h:1: Connection refused", "4711"]);
    let row = &buffer[(6, 11)];
    assert_eq!((row.symbol(), row.fg), ("b", Color::DarkGray), "an outdated row has no colour");
}

#[test]
fn crash_is_opened_with_its_last_words_which_cannot_steer_the_terminal() {
    let model = model();
    let mut view = View::new(false);
    press(&mut view, &model, &[KeyCode::BackTab, KeyCode::BackTab, KeyCode::Enter]);
    let picture = shown(&model, &mut view, (80, 24));
    has(
        &picture,
        &["3 times since 22:12:20 UTC, in slots 0,1", "ran: predict, a", "predict  had run for 850ms"],
    );
    has(
        &picture,
        &[
            "crashed: killed by SIGKILL",
            "slot 1, process 4712, 1 running call lost, 2 waiting calls requeued",
        ],
    );
    has(&picture, &["22:13:08 UTC, 12s ago", "Last lines of standard error", "\\x1b[31mthe last    words"]);
    assert_eq!(picture.matches('x').count(), 201, "a long line is folded:\n{picture}");
}

#[test]
fn details_scroll_to_their_end_and_back() {
    let model = model();
    let mut view = View::new(false);
    press(&mut view, &model, &[KeyCode::BackTab, KeyCode::BackTab, KeyCode::Enter, KeyCode::End]);
    let picture = shown(&model, &mut view, (60, 8));
    assert!(!picture.contains("slot 1, process 4712") && picture.contains("xxx"), "{picture}");
    press(&mut view, &model, &[KeyCode::PageUp]);
    has(&shown(&model, &mut view, (60, 8)), &["slot 1, process 4712"]);
}

#[test]
fn question_is_asked_before_an_order() {
    let model = model();
    let mut view = View::new(true);
    press(&mut view, &model, &[KeyCode::Down, KeyCode::Char('r')]);
    has(&shown(&model, &mut view, (60, 16)), &["Restart the worker in slot 1?", "y yes   n no"]);
}

#[test]
fn without_color_there_is_none() {
    let mut model = model();
    for _ in 0..2 {
        let buffer = picture(&model, &mut View::new(true), (120, 40), false);
        let colored = buffer.content.iter().find(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
        assert_eq!(colored, None);
        model.lost("gone".to_owned());
    }
}

#[test]
fn tables_share_the_height_that_there_is() {
    for (height, wanted, expected) in [
        (20, [5, 4, 3], [5, 4, 11]),
        (20, [3, 3, 3], [4, 4, 12]),
        (20, [90, 90, 90], [8, 6, 6]),
        (30, [67, 4, 4], [16, 4, 10]),
    ] {
        let shared = share(height, wanted);
        assert_eq!(shared.iter().sum::<u16>(), height);
        assert_eq!(shared, expected, "{wanted:?} in {height}");
    }
}

#[test]
fn snapshot_is_plain_text() {
    let text = text::text(&model());
    has(&text, &["worker.py: ready, up 3m 2s, 1 of 2 workers serve, Python 3.13.1, pyproc 0.1.0\n"]);
    has(
        &text,
        &[
            "1,990 calls/s, 0.5 errors/s, p50 699µs, p95 1.20ms, p99 3.40ms, queue wait p50 40µs, p99 9.00ms, 3 in flight, 7 queued, restarts 1\n",
        ],
    );
    has(&text, &["slot  state    generation   pid     up     rss  in flight   calls  restarts  last exit\n"]);
    has(
        &text,
        &["   1  backoff           1     –  1m 2s  19 MiB          3  12,345         1  killed by SIGKILL\n"],
    );
    has(
        &text,
        &["last crash: slot 1, process 4712, 1 running call lost", "    \\x1b[31mthe last    words\n"],
    );
    has(&text, &["\npredict   Refused               2      3s  no\\x1b[31m money\n"]);
    has(&text, &["\npredict   running     0   4.20s     4.00s     25.8s\nresize    queued      –"]);
    has(
        &text,
        &[
            "\n12s      3  0,1    crashed  predict, a     1         2  killed by SIGKILL\n",
            "\n    predict  had run for 850ms\n",
        ],
    );
    has(&text, &["\n22:13:20     1  error   app: \\x1b[2Jno\n"]);
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn errors_calls_crashes_and_output_are_tables_at_80_by_24() {
    let model = model();
    let mut view = View::new(false);
    let mut next = |keys: &[KeyCode]| {
        press(&mut view, &model, keys);
        shown(&model, &mut view, (80, 24))
    };
    let errors = next(&[KeyCode::Tab, KeyCode::Tab]);
    has(&errors, &["function       error               count     ago last message"]);
    has(&errors, &["predict        Refused                 2      3s no\\x1b[31m money"]);
    has(
        &next(&[KeyCode::Enter]),
        &["predict: Refused", "2 times, the last at 22:13:17 UTC", "File \"w.py\""],
    );
    let calls = next(&[KeyCode::Esc, KeyCode::Tab]);
    has(&calls, &["state     slot     age runs for deadline", "running      0   4.20s    4.00s    25.8s"]);
    has(&calls, &["queued       –  12.0ms        –        –"]);
    has(
        &next(&[KeyCode::Enter]),
        &["Why its calls fail", "Refused, 2 times, last 3s ago: no\\x1b[31m money"],
    );
    let crashes = next(&[KeyCode::Esc, KeyCode::Tab]);
    has(&crashes, &["    12s     3 0,1   crashed       predict, a       killed by SIGKILL"]);
    let log = next(&[KeyCode::Tab]);
    has(
        &log,
        &[
            "time     slot level  text",
            "22:13:20    0 stdout printed",
            "22:13:20    1 error  app: \\x1b[2Jno",
        ],
    );
    has(&next(&[KeyCode::Enter]), &["22:13:20 UTC, slot 1, process 8, error"]);
}

#[test]
fn crashes_of_a_gateway_that_does_not_group_them_are_single() {
    let mut model = model();
    let incident = |slot: u32| json!({"at_unix_ms": AT, "slot": slot, "what": "killed by SIGKILL"});
    apply(&mut model, "hello", &json!({"status": {"ready": true}, "incidents": [incident(1)]}));
    assert_eq!(model.crashes.len(), 1);
    apply(&mut model, "incidents", &json!([incident(0), incident(1)]));
    assert_eq!(
        model.crashes.iter().map(|crash| (crash.count, crash.slots[0].0)).collect::<Vec<_>>(),
        [(1, 0), (1, 1)]
    );
}
