//! Runs a test again as a host in another process. The main structure is [`Host`].

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// The variable that is set in a host process; its value says which of the test's hosts it is.
const ROLE: &str = "TEST_HOST";

/// Which host this process is; `None` if it is not a host.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// The command that runs the test `test` of `module` as a host. If `program` is not empty, it is
/// run with the command as its arguments.
pub(crate) fn command(program: &[&str], module: &str, test: &str, role: &str) -> Command {
    let (_, module) = module.split_once("::").expect("tests are in modules of their binary");
    let binary = std::env::current_exe().expect("this process has a path");
    let mut command = match program {
        [] => Command::new(binary),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(binary);
            command
        }
    };
    command.args(["--exact", &format!("{module}::{test}"), "--nocapture"]).env(ROLE, role);
    command
}

/// Runs a test as a host that `program` starts, and checks that it passes.
pub(crate) fn passes_by_way_of(program: &[&str], module: &str, test: &str) {
    let output = command(program, module, test, "host").output().expect("the program is installed");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.concat();
    // Without a matching test, the exit status is also 0.
    assert!(output.status.success() && text.contains("1 passed"), "{}\n{text}", output.status);
}

/// A host that runs until it is killed.
pub(crate) struct Host(Child);

impl Host {
    /// Starts a test as a host; returns it with the PIDs that it [reports](report).
    pub(crate) fn start(module: &str, test: &str, role: &str) -> (Self, Vec<u32>) {
        let mut child =
            command(&[], module, test, role).stdout(Stdio::piped()).spawn().expect("the binary exists");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let pids = lines.find_map(|line| Some(line.ok()?.strip_prefix("pids ")?.to_owned()));
        let pids = pids.expect("the host starts a worker");
        (Self(child), pids.split_whitespace().map(|pid| pid.parse().expect("a PID is a number")).collect())
    }

    pub(crate) fn kill(mut self) {
        self.0.kill().expect("the host is a child of this process");
        self.0.wait().expect("the host is a child of this process");
    }
}

/// Reports the PIDs of a host's processes to the test; does not return.
pub(crate) async fn report(pids: &[u32]) {
    let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
    println!("\npids {}", pids.join(" "));
    std::future::pending().await
}
