use actix_pyproc::http::ControlAction;
use actix_pyproc::pool::SlotId;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::model::Model;
use super::{Act, Overlay, Pane, View};

fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("it has the fields")
}

fn model(control: bool) -> Model {
    let mut model = Model::default();
    model.about.control = control;
    model.status.pool = read(&json!({
        "slots": [{"slot": 0}, {"slot": 1}, {"slot": 2}],
        "functions": [{"function": "predict"}],
    }));
    model
}

fn press(view: &mut View, model: &Model, code: KeyCode) -> Act {
    view.key(KeyEvent::new(code, KeyModifiers::NONE), model)
}

fn type_in(view: &mut View, model: &Model, keys: &str) -> Act {
    keys.chars().fold(Act::Nothing, |_, key| press(view, model, KeyCode::Char(key)))
}

fn notice(view: &View) -> &str {
    view.notice.as_ref().map_or("", |notice| notice.text.as_str())
}

#[test]
fn control_is_off_without_a_token_and_without_a_gateway_that_takes_it() {
    for key in ["r", "R", "D"] {
        let mut view = View { has_token: true, ..View::default() };
        assert_eq!(type_in(&mut view, &model(false), key), Act::Nothing);
        assert!(notice(&view).contains("--allow-control"), "{key}: {}", notice(&view));
        let mut view = View::default();
        assert_eq!(type_in(&mut view, &model(true), key), Act::Nothing);
        assert!(notice(&view).contains("--token"), "{key}: {}", notice(&view));
        assert!(matches!(view.overlay, Overlay::Nothing));
    }
}

#[test]
fn order_is_sent_only_after_a_yes() {
    let model = model(true);
    let mut view = View { has_token: true, ..View::default() };
    for (keys, expected) in [
        ("Rn", Act::Nothing),
        ("Ry", Act::Send(ControlAction::Reload)),
        ("Dqj", Act::Nothing),
        ("Dxy", Act::Send(ControlAction::Drain)),
        ("ry", Act::Send(ControlAction::Replace { slot: SlotId(1) })),
    ] {
        assert_eq!(type_in(&mut view, &model, keys), expected, "{keys}");
        assert!(matches!(view.overlay, Overlay::Nothing), "{keys}");
    }
    assert_eq!(press(&mut view, &model, KeyCode::Tab), Act::Nothing);
    assert_eq!(type_in(&mut view, &model, "ry"), Act::Nothing);
    assert!(notice(&view).contains("Tab goes to the workers"), "{}", notice(&view));
}

#[test]
fn selection_stays_within_its_pane_when_rows_come_and_go() {
    let mut model = model(false);
    let mut view = View::default();
    assert_eq!(type_in(&mut view, &model, "jjjjj"), Act::Nothing);
    assert_eq!(view.selected(Pane::Workers, &model), Some(2));
    model.status.pool.slots.truncate(1);
    assert_eq!(view.selected(Pane::Workers, &model), Some(0));
    assert_eq!(view.selected(Pane::Crashes, &model), None);
    let rest = [Pane::Functions, Pane::Errors, Pane::Calls, Pane::Crashes, Pane::Log, Pane::Workers];
    for pane in rest {
        assert_eq!(press(&mut view, &model, KeyCode::Tab), Act::Nothing);
        assert_eq!(view.pane, pane);
    }
    assert_eq!(press(&mut view, &model, KeyCode::BackTab), Act::Nothing);
    assert_eq!(view.pane, Pane::Log);
    assert_eq!(press(&mut view, &model, KeyCode::Enter), Act::Nothing);
    assert!(matches!(view.overlay, Overlay::Nothing), "there is nothing to open");
}

#[test]
fn crash_that_is_read_stays_when_it_leaves_the_list() {
    let mut model = model(false);
    model.crashes = read(&json!([{"last": {"what": "killed by SIGKILL"}}]));
    let mut view = View { pane: Pane::Crashes, ..View::default() };
    assert_eq!(press(&mut view, &model, KeyCode::Enter), Act::Nothing);
    model.crashes.clear();
    assert_eq!(type_in(&mut view, &model, "jjk"), Act::Nothing);
    assert!(matches!(view.overlay, Overlay::Details { scroll: 1, .. }));
    assert_eq!(press(&mut view, &model, KeyCode::Esc), Act::Nothing);
    assert!(matches!(view.overlay, Overlay::Nothing));
}

#[test]
fn q_escape_and_control_c_quit() {
    let model = model(false);
    let mut view = View::default();
    assert_eq!(type_in(&mut view, &model, "q"), Act::Quit);
    assert_eq!(press(&mut view, &model, KeyCode::Esc), Act::Quit);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(type_in(&mut view, &model, "?"), Act::Nothing);
    assert_eq!(view.key(control_c, &model), Act::Quit);
}

#[test]
fn notice_goes_by_itself() {
    let mut view = View::default();
    view.notify("done", false);
    (0..20).for_each(|_| view.tick());
    assert!(view.notice.is_none());
}

#[test]
fn the_last_line_of_the_log_stays_selected_until_the_user_goes_up() {
    let mut model = model(false);
    model.log = read(&json!([{"number": 1}, {"number": 2}, {"number": 3}]));
    let mut view = View { pane: Pane::Log, ..View::default() };
    assert_eq!(view.selected(Pane::Log, &model), Some(2));
    model.log.extend(read::<Vec<_>>(&json!([{"number": 4}])));
    assert_eq!(view.selected(Pane::Log, &model), Some(3));
    assert_eq!(type_in(&mut view, &model, "kk"), Act::Nothing);
    assert_eq!(view.selected(Pane::Log, &model), Some(1));
    for (key, expected) in [("g", 0), ("k", 0), ("j", 1), ("G", 3), ("j", 3)] {
        assert_eq!(type_in(&mut view, &model, key), Act::Nothing);
        assert_eq!(view.selected(Pane::Log, &model), Some(expected), "{key}");
    }
}

#[test]
fn the_lower_pane_of_a_large_terminal_is_the_last_one_that_was_visited() {
    let model = model(false);
    let mut view = View::default();
    assert_eq!(view.bottom(), Pane::Errors);
    for _ in 0..4 {
        assert_eq!(press(&mut view, &model, KeyCode::Tab), Act::Nothing);
    }
    assert_eq!((view.pane, view.bottom()), (Pane::Crashes, Pane::Crashes));
    for _ in 0..3 {
        assert_eq!(press(&mut view, &model, KeyCode::Right), Act::Nothing);
    }
    assert_eq!((view.pane, view.bottom()), (Pane::Functions, Pane::Log));
}
