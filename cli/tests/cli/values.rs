//! `pyproc call`: arguments and results in every codec.

use std::fs;

use tempfile::TempDir;

use crate::harness::{Ended, pyproc};

const NO_TEXT: &[u8] = b"\xff\x00\n";

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory can be created")
}

fn identity(json: &str, args: &[&str]) -> Ended {
    pyproc("call", "functions.py", &["identity", json]).args(args).run()
}

#[test]
fn json_comes_back_as_it_went_to_the_last_digit() {
    for json in ["null", "-5", "-0.5", "123456789012345678901234567890", r#"{"a":["é",1e-07,true]}"#] {
        identity(json, &[]).exits(0).prints(&format!("{json}\n"));
    }
}

#[test]
fn argument_is_read_from_standard_input_and_is_null_if_there_is_none() {
    let read = |json: &[u8]| pyproc("call", "functions.py", &["identity", "-"]).stdin(json).run();
    read(b"[1,\n2]").exits(0).prints("[1,2]\n");
    read(b"").exits(2).reports_once(&["the argument is not JSON"]);
    read(b"\xff").exits(2).reports_once(&["failed to read standard input"]);
    pyproc("call", "functions.py", &["identity"]).run().exits(0).prints("null\n");
}

#[test]
fn parameters_by_name_are_an_object() {
    let directory = directory();
    let path = directory.path().join("text");
    fs::write(&path, "[1]\n").expect("the directory is writable");
    let path = path.display();
    let words = [&format!("list:=@{path}"), "name=ada", &format!("text=@{path}"), "x=3", "y:=[1, 2]"];
    let expected = r#"{"list":[1],"name":"ada","text":"[1]\n","x":3,"y":[1,2]}"#;
    for codec in ["json", "msgpack"] {
        let call = pyproc("call", "functions.py", &["identity", "--codec", codec]).args(&words).run();
        call.exits(0).prints(&format!("{expected}\n"));
    }
    // Options may stand between them.
    let call = pyproc("call", "functions.py", &["identity", "x=3", "--timeout", "60s", "y=4"]).run();
    call.exits(0).prints("{\"x\":3,\"y\":4}\n");
}

#[test]
fn messagepack_comes_back_as_json() {
    let json = r#"{"a":[1,"é",null]}"#;
    identity(json, &["--codec", "msgpack"]).exits(0).prints(&format!("{json}\n"));
    identity("18446744073709551615", &["--codec", "msgpack"]).exits(0).prints("18446744073709551615\n");
    identity("18446744073709551616", &["--codec", "msgpack"])
        .exits(2)
        .reports_once(&["does not fit the 64 bits"]);
}

#[test]
fn raw_bytes_go_from_file_to_file() {
    let directory = directory();
    let [input, output] = ["in", "out"].map(|name| directory.path().join(name));
    fs::write(&input, b"\xff\x00\n").expect("the directory is writable");
    fs::write(&output, "longer than the result").expect("the directory is writable");
    let call = pyproc("call", "functions.py", &["reverse", "--bytes"]).arg(&input).arg("--out").arg(&output);
    call.run().exits(0).prints("");
    assert_eq!(fs::read(&output).expect("the file was written"), b"\n\x00\xff");
}

#[test]
fn raw_bytes_go_from_standard_input_to_standard_output_as_they_are() {
    let reverse = |args: &[&str], bytes| {
        pyproc("call", "functions.py", &["reverse", "--bytes", "-"]).args(args).stdin(bytes).run()
    };
    assert_eq!(reverse(&[], NO_TEXT).exits(0).stdout, b"\n\x00\xff");
    reverse(&["--json"], NO_TEXT).exits(0).prints("[10,0,255]\n");
    reverse(&["--json"], b"ab").exits(0).prints("\"ba\"\n");
}

#[test]
fn result_that_is_no_bytes_goes_to_the_file_as_it_is_encoded() {
    let directory = directory();
    let path = directory.path().join("out");
    let out = ["--out", path.to_str().expect("the path is UTF-8")];
    identity("[1]", &out).exits(0).prints("");
    assert_eq!(fs::read(&path).expect("the file was written"), b"[1]");
    identity("[1]", &[out[0], out[1], "--codec", "msgpack"]).exits(0).prints("");
    assert_eq!(fs::read(&path).expect("the file was written"), [0x91, 1]);
}

#[test]
fn file_is_left_as_it_was_if_there_is_no_result() {
    let directory = directory();
    let [new, old] = ["new", "old"].map(|name| directory.path().join(name));
    fs::write(&old, "before").expect("the directory is writable");
    for path in [&new, &old] {
        pyproc("call", "functions.py", &["nope", "--out"]).arg(path).run().exits(6);
    }
    assert!(!new.exists());
    assert_eq!(fs::read(&old).expect("the file exists"), b"before");
}
