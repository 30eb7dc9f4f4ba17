//! `pyproc config`: the effective configuration, and the source of each value.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use actix_pyproc::PoolConfig;
use actix_pyproc::config::ConfigValue;
use serde_json::{Map, Value, json};

use crate::console::stdout;
use crate::escape;
use crate::failure::Failure;
use crate::options::PoolOptions;

/// Where comments begin, unless the line is longer.
const COMMENTS_AT: usize = 36;

/// Print the effective configuration as TOML, with the source of each value
#[derive(clap::Args)]
#[command(override_usage = "pyproc config [OPTIONS] [WORKER]\n       pyproc config --schema")]
pub(crate) struct Args {
    /// The Python file that the worker runs
    #[arg(value_name = "WORKER", conflicts_with = "module")]
    worker: Option<PathBuf>,
    /// Print one JSON object on one line: {KEY: {"value", "source"}}
    #[arg(long)]
    json: bool,
    /// Print the JSON Schema of the file, for editors
    #[arg(long, conflicts_with = "json")]
    schema: bool,
    #[command(flatten)]
    pub(crate) pool: PoolOptions,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let text = if args.schema {
        format!("{:#}\n", PoolConfig::json_schema())
    } else {
        let layers = args.pool.layers(args.worker.as_deref(), PoolConfig::default())?;
        let values = layers.values();
        // Values with which no pool would start are errors here too.
        layers.finish()?;
        if args.json { json(&values) } else { toml(&values) }
    };
    stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn json(values: &[ConfigValue]) -> String {
    let object: Map<String, Value> = (values.iter())
        .map(|ConfigValue { key, value, origin, .. }| {
            (key.clone(), json!({"value": value, "source": origin.to_string()}))
        })
        .collect();
    format!("{}\n", Value::Object(object))
}

/// TOML that reads back as the same configuration. A field that is not set is a comment.
fn toml(values: &[ConfigValue]) -> String {
    let mut text = String::new();
    // A key below a section header belongs to the section, so the other keys come first.
    let (top, below): (Vec<_>, Vec<_>) = values.iter().partition(|value| !value.key.contains('.'));
    let mut current = None;
    for ConfigValue { key, value, origin, .. } in top.into_iter().chain(below) {
        let name = match key.split_once('.') {
            Some((section, name)) => {
                if current.replace(section) != Some(section) {
                    writeln!(text, "\n[{section}]").expect("writing to a string cannot fail");
                }
                name
            }
            None => key,
        };
        let line = match value {
            Value::Null => format!("# {name} is not set"),
            _ => format!("{} = {}", toml_key(name), toml_value(value)),
        };
        writeln!(text, "{line:COMMENTS_AT$} # {}", escape::line(origin))
            .expect("writing to a string cannot fail");
    }
    text
}

fn toml_key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { toml_value(&name.into()) }
}

fn toml_value(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries =
                entries.iter().map(|(key, value)| format!("{} = {}", toml_key(key), toml_value(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        // JSON writes strings as TOML does, except for control characters that only TOML escapes.
        _ => {
            let mut text = String::new();
            for c in value.to_string().chars() {
                if escape::is_control(c) {
                    write!(text, "\\u{:04X}", u32::from(c)).expect("writing to a string cannot fail");
                } else {
                    text.push(c);
                }
            }
            text
        }
    }
}
