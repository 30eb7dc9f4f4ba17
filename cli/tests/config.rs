//! The configuration as users see it: layers, `pyproc config`, the schema and the documentation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use actix_pyproc::PoolConfig;
use actix_pyproc::config::{ConfigLayers, ConfigOrigin};
use actix_pyproc::error::ConfigError;
use serde_json::{Value, json};

fn pyproc(args: &[&str], vars: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pyproc"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PYPROC_")) {
        command.env_remove(name);
    }
    command.args(args).envs(vars.iter().copied()).output().expect("the binary was built")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("it is text")
}

/// A file with these lines, which is removed with the directory.
fn file(lines: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("there is room for temporary files");
    let path = directory.path().join("pool.toml");
    fs::write(&path, lines.join("\n")).expect("it can be written");
    (directory, path)
}

fn vars(vars: &[(&str, &str)]) -> Vec<(String, String)> {
    vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn each_layer_counts_before_the_ones_below_and_each_value_says_where_it_is_from() {
    let (_directory, path) = file(&[
        "workers = 2",
        "max_queue = 10",
        "max_attempts = 5",
        "[env]",
        "A = \"file\"",
        "[restart]",
        "",
        "max = \"9s\"",
    ]);
    let text = path.to_str().expect("it is text");
    let args = [
        "config",
        "w.py",
        "--config",
        text,
        "--workers",
        "4",
        "--env",
        "B=flag",
        "--json-codec",
        "orjson",
        "--json",
    ];
    let output = pyproc(&args, &[("PYPROC_WORKERS", "3"), ("PYPROC_MAX_QUEUE", "20")]);
    let printed = stdout(&output);
    assert_eq!(printed.matches('\n').count(), 1, "it is one line");
    let printed: Value = serde_json::from_str(&printed).expect("it is JSON");
    for (key, value, source) in [
        ("worker", json!("w.py"), "argument WORKER"),
        ("workers", json!(4), "flag --workers"),
        ("max_queue", json!(20), "variable PYPROC_MAX_QUEUE"),
        ("max_attempts", json!(5), &format!("{text}:3")),
        ("env.A", json!("file"), &format!("{text}:5")),
        ("env.B", json!("flag"), "flag --env"),
        ("json", json!("orjson"), "flag --json-codec"),
        ("restart.max", json!("9s"), &format!("{text}:8")),
        ("restart.initial", json!("50ms"), "default"),
        ("recycle.max_calls", Value::Null, "default"),
    ] {
        assert_eq!(printed[key], json!({"value": value, "source": source}), "{key}");
    }
}

#[test]
fn printed_toml_reads_back_as_the_same_configuration() {
    let (directory, path) = file(&[
        "worker = { module = \"a.b\" }",
        "call_timeout = \"none\"",
        "select = \"round-robin\"",
        "[env]",
        r#""odd name" = "quote \" tab \t bell \u0007 del \u007f ü""#,
        "[recycle]",
        "max_calls = 7",
        "max_lifetime = 90_000",
    ]);
    let printed = stdout(&pyproc(&["config", "--config", path.to_str().expect("it is text")], &[]));
    let again = directory.path().join("again.toml");
    fs::write(&again, &printed).expect("it can be written");
    let read = |path: &Path| PoolConfig::from_toml_file(path).expect("it is a configuration");
    assert_eq!(read(&again), read(&path), "{printed}");
    // Each value has one line, which says where it comes from.
    let of_default =
        ["max_queue = 4096", "# python is not set", "initial = \"50ms\"", "max_concurrent = 100"];
    for line in of_default {
        let found = printed.lines().find(|found| found.starts_with(line));
        assert!(found.is_some_and(|found| found.ends_with("# default")), "{line} in {printed}");
    }
    assert!(printed.contains("pool.toml:1\n") && printed.contains("pool.toml:8\n"), "{printed}");
}

#[test]
fn unknown_keys_and_variables_are_refused_and_the_nearest_known_one_is_told() {
    let toml = |text: &str| PoolConfig::from_toml_str(text).expect_err("it has an unknown key").to_string();
    assert_eq!(
        toml("workers = 1\nworker_count = 4"),
        "line 2: unknown key `worker_count`; did you mean `workers`?"
    );
    assert_eq!(
        toml("[restart]\nmaxx = 1"),
        "line 2: unknown key `restart.maxx`; did you mean `restart.max`?"
    );
    assert_eq!(
        toml("max_restarts = 1"),
        "line 1: unknown key `max_restarts`; did you mean `restart.max_restarts`?"
    );
    assert_eq!(toml("colour = 1"), "line 1: unknown key `colour`");
    let worker = "line 1: unknown key `worker.modul`; did you mean `worker.module`?";
    assert_eq!(toml("worker = { modul = \"m\", module = \"m\" }"), worker);
    assert!(
        toml("worker = 1").contains("expected the path of a script, or { module ="),
        "{}",
        toml("worker = 1")
    );
    assert!(toml("restart = 1").contains("expected the section [restart]"), "{}", toml("restart = 1"));
    let variable = |name: &str| {
        let layers = ConfigLayers::new(PoolConfig::default()).vars(vars(&[(name, "1")]));
        layers.expect_err("it names no field").to_string()
    };
    for (name, nearest) in [
        ("PYPROC_WORKER_COUNT", "PYPROC_WORKERS"),
        ("PYPROC_RESTART_MAXX", "PYPROC_RESTART_MAX"),
        ("PYPROC_MAX_RESTARTS", "PYPROC_RESTART_MAX_RESTARTS"),
        ("PYPROC_TIMEOUT", "PYPROC_CALL_TIMEOUT"),
        ("PYPROC_workers", "PYPROC_WORKERS"),
    ] {
        assert_eq!(variable(name), format!("unknown variable {name}; did you mean {nearest}?"));
    }
    assert_eq!(variable("PYPROC_COLOUR"), "unknown variable PYPROC_COLOUR");

    let (_directory, path) = file(&["worker_count = 4"]);
    let text = path.to_str().expect("it is text");
    let output = pyproc(&["config", "--config", text], &[]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("pool.toml:1: unknown key `worker_count`; did you mean `workers`?"), "{stderr}");
}

#[test]
fn variables_that_others_set_are_left_alone() {
    let others = [
        ("PYPROC_SOCKET_FD", "3"),
        ("PYPROC_TOKEN", "x"),
        ("PYPROC_CONTROL_TOKEN", "x"),
        ("PYPROC_BENCH_QUICK", "1"),
        ("PYPROC_SOAK_SECONDS", "1"),
        ("PYPROC_PORT", "tcp://10.0.0.1:80"),
        ("PYPROC_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("PYPROC_SERVICE_HOST", "10.0.0.1"),
        ("PYPROC_GATEWAY_SERVICE_PORT_HTTP", "80"),
        ("NOT_PYPROC_WORKERS", "x"),
    ];
    let layers = ConfigLayers::new(PoolConfig::default()).vars(vars(&others)).expect("all are skipped");
    assert_eq!(layers.config(), &PoolConfig::default());
}

#[test]
fn variable_takes_the_place_of_the_files_env_and_says_so() {
    let layers = ConfigLayers::new(PoolConfig::default()).toml("env.A = \"1\"\nenv.B = \"2\"", None);
    let layers = layers.and_then(|layers| layers.vars(vars(&[("PYPROC_ENV", r#"{"A": "3"}"#)])));
    let layers = layers.expect("it is a configuration");
    assert_eq!(layers.config().env.len(), 1);
    assert_eq!(layers.origin("env.A"), ConfigOrigin::Variable { name: "PYPROC_ENV".into() });
}

#[test]
fn what_cannot_be_used_is_refused_by_pyproc_config_too() {
    let output = pyproc(&["config", "--workers", "0"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("workers must be from 1"), "{output:?}");
    let (_directory, path) = file(&["workers = \"four\""]);
    let error = PoolConfig::from_toml_file(&path).expect_err("it is not a number");
    assert!(matches!(&error, ConfigError::Toml { path: Some(_), .. }), "{error}");
    assert!(error.to_string().contains("pool.toml") && error.to_string().contains("line 1"), "{error}");
}

#[test]
fn schema_is_current_and_has_each_field_with_its_doc() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.schema.json");
    let printed = stdout(&pyproc(&["config", "--schema"], &[]));
    is_current(&path, &printed);
    let schema: Value = serde_json::from_str(&printed).expect("it is JSON");
    for field in PoolConfig::fields() {
        let pointer = format!("/properties/{}", field.key.replace('.', "/properties/"));
        let property = schema.pointer(&pointer).expect(&field.key);
        let description = property["description"].as_str().expect(&field.key);
        assert!(description.starts_with(field.doc), "{description}");
    }
}

#[test]
fn table_of_fields_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let text = fs::read_to_string(&path).expect("it is part of the repository");
    let (before, rest) = text.split_once("-->\n").expect("the fields have a mark");
    let (_, after) = rest.split_once("<!-- end of fields").expect("the fields have an end");
    let rows: String = (PoolConfig::fields().iter())
        .map(|field| format!("| `{}` | {} | {} |\n", field.key, field.default, field.doc))
        .collect();
    let table = format!("| key | default | meaning |\n| --- | --- | --- |\n{rows}");
    is_current(&path, &format!("{before}-->\n{table}<!-- end of fields{after}"));
}

#[test]
fn counterparts_of_pyproc_are_fields_and_none_of_its_keys_is_missing() {
    let text = include_str!("../../docs/configuration.md");
    let (_, table) = text.split_once("## Coming from pyproc").expect("there is a table");
    let fields = PoolConfig::fields();
    let mut keys = Vec::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        keys.push(cells[1]);
        let here = cells[2];
        assert!(here == "none" || fields.iter().any(|field| field.key == here), "{row}");
        assert!(here != "none" || !cells[3].is_empty(), "the row says why there is no counterpart: {row}");
    }
    for key in [
        "pool.workers",
        "pool.max_in_flight",
        "pool.health_interval",
        "pool.restart.initial_backoff",
        "pool.restart.max_backoff",
        "pool.restart.multiplier",
        "pool.restart.jitter",
        "python.executable",
        "python.worker_script",
        "python.env",
        "socket.dir",
        "socket.prefix",
        "socket.permissions",
        "protocol.max_frame_size",
        "protocol.request_timeout",
        "protocol.connection_timeout",
        "logging.level",
        "logging.format",
        "metrics.enabled",
        "metrics.address",
        "metrics.path",
    ] {
        assert!(keys.contains(&key), "{key}");
    }
}

/// Compares a file with its expected content; with `UPDATE_DOCS` in the environment, writes it.
#[track_caller]
fn is_current(path: &Path, expected: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, expected).expect("it can be written");
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    let hint = "UPDATE_DOCS=1 cargo test -p pyproc-cli --test config writes it";
    assert!(text == expected, "{} is not current: {hint}", path.display());
}
