//! The files of `examples/deploy` name options, variables and paths that exist.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::shell;
use crate::support::blocking::until;
use crate::support::{read, root};

/// Where the files are on the machine that they are written for.
const THERE: &str = "/srv/app";

/// A command line of `pyproc` with its environment, from a deployment file.
struct Deployed {
    words: Vec<String>,
    env: Vec<(String, String)>,
}

impl Deployed {
    /// Starts it with the files of this repository and a free port; checks that it answers the
    /// probes and ends on SIGTERM.
    fn serves(&self, probes: &[&str]) {
        let here = TempDir::new().expect("the disk has room");
        for name in ["worker.py", "pool.toml"] {
            let from = root().join("examples/deploy").join(name);
            fs::copy(from, here.path().join(name)).expect("the disk has room");
        }
        let path = here.path().to_str().expect("it is UTF-8");
        let quoted = |word: &String| format!("'{}'", word.replace(THERE, path));
        let (program, words) = self.words.split_first().expect("the command has a program");
        assert_eq!(Path::new(program).file_name(), Some("pyproc".as_ref()), "{program}");
        let mut script = String::from("exec env");
        for (name, value) in self.env.iter().filter(|(name, _)| name != "PYPROC_PYTHON") {
            script += &format!(" {name}={}", quoted(value));
        }
        script += " pyproc";
        let mut words = words.iter();
        while let Some(word) = words.next() {
            script += &format!(" {}", quoted(word));
            if word == "--listen" {
                words.next().expect("the option has a value");
                script += " 127.0.0.1:0";
            }
        }
        assert!(script.contains("--listen"), "the command has no address: {script}");

        let output = here.path().join("output");
        let server = shell::start(&script, here.path(), output);
        let address = until("the gateway to listen", || {
            let said = server.output();
            assert!(server.try_code().is_none(), "{script}\nended: {said}");
            Some(said.split_once("listening on http://")?.1.split_once('\n')?.0.to_owned())
        });
        for probe in probes {
            assert_eq!(status(&address, probe), "200", "{probe}");
        }
        server.signal(Signal::TERM);
        assert_eq!(server.code(), 0, "{}", server.output());
    }
}

/// The status of the response to a request.
fn status(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the gateway listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the gateway reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the gateway answers");
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// The rest of each line that begins with `key`.
fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.trim_start().strip_prefix(key)).map(str::trim)
}

fn words(json: &str) -> Vec<String> {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn variables<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn unit_starts_a_gateway_and_systemd_takes_it() {
    let unit = read("examples/deploy/pyproc.service");
    let start = values(&unit, "ExecStart=").next().expect("the file has a command");
    let env = values(&unit, "Environment=").filter_map(|pair| pair.split_once('='));
    let deployed = Deployed { words: start.split(' ').map(str::to_owned).collect(), env: variables(env) };
    deployed.serves(&["/live", "/ready"]);

    let directory = TempDir::new().expect("the disk has room");
    let copy = directory.path().join("pyproc.service");
    let program = &deployed.words[0];
    fs::write(&copy, unit.replace(program, env!("CARGO_BIN_EXE_pyproc"))).expect("the disk has room");
    let Ok(verified) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output()
    else {
        eprintln!("systemd-analyze is not installed: the unit's keys are not checked");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    // It also reports problems of the units of this machine.
    let ours: Vec<_> = said.lines().filter(|line| line.contains("pyproc.service")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
}

#[test]
fn image_starts_a_gateway_and_has_what_it_copies() {
    let file = read("examples/deploy/Dockerfile");
    let start = values(&file, "ENTRYPOINT ").next().expect("the file has a command");
    let env = values(&file, "ENV ").filter_map(|pair| pair.split_once('='));
    Deployed { words: words(start), env: variables(env) }.serves(&["/live", "/ready"]);
    let copied = values(&file, "COPY ").filter(|line| !line.starts_with("--from"));
    for name in copied.flat_map(|line| line.rsplit_once(' ').expect("COPY has a target").0.split(' ')) {
        assert!(root().join("examples/deploy").join(name).exists(), "{name}");
    }
}

#[test]
fn pod_starts_a_gateway_that_answers_its_probes_and_has_the_time_to_drain() {
    let manifest = read("examples/deploy/kubernetes.yaml");
    let file = read("examples/deploy/Dockerfile");
    let entry = values(&file, "ENTRYPOINT ").next().expect("the file has a command");
    let args = values(&manifest, "args: ").next().expect("the container has arguments");
    let names: Vec<_> = values(&manifest, "- name: PYPROC_").map(|name| format!("PYPROC_{name}")).collect();
    let given = values(&manifest, "value: ").map(|value| value.trim_matches('"'));
    let env = names.iter().map(String::as_str).zip(given);
    let probes: Vec<_> =
        manifest.split("path: ").skip(1).filter_map(|text| text.split([',', ' ']).next()).collect();
    assert_eq!(probes, ["/live", "/live", "/ready"]);
    Deployed { words: [words(entry), words(args)].concat(), env: variables(env) }.serves(&probes);

    let seconds = |key| values(&manifest, key).next().and_then(|value| value.parse::<u64>().ok()).expect(key);
    let config = actix_pyproc::PoolConfig::from_toml_file(root().join("examples/deploy/pool.toml"))
        .expect("it is a number");
    let ends =
        config.drain_timeout + config.stop_grace + std::time::Duration::from_secs(2 + seconds("seconds: "));
    assert!(
        seconds("terminationGracePeriodSeconds: ") > ends.as_secs(),
        "Kubernetes kills it while it drains: {ends:?}"
    );
}
