// SPDX-License-Identifier: GPL-2.0

//! The program as scripts see it: exit status, one line on one stream.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::{env, fs};

use serde_json::Value;

fn loads(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loads"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// A new folder below the target directory, which is on a disk: direct I/O
/// needs one.
fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn result(args: &[&str]) -> Value {
    let output = loads(args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {error}");
    assert_eq!(error, "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn fails(line: &str, status: i32, why: &str) {
    let args: Vec<_> = line.split_whitespace().collect();
    let output = loads(&args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{line}: {error}");
    assert_eq!(output.stdout, b"");
    assert_eq!(error.matches('\n').count(), 1, "{error}");
    assert!(
        error.starts_with("loads: ") && error.contains(why),
        "{error}"
    );
}

#[test]
fn wrong_usage_is_status_2() {
    for (line, why) in [
        ("", "--help"),
        ("direct --seconds 1", "--path"),
        ("direct --path x --seconds 3601", "3601"),
        ("direct --path x --seconds 0", "1..=3600"),
        ("direct --path x --seconds 1 --verify", "--no-mutate"),
        ("direct --path x --seconds 1 --size 4KB", "4KB"),
        ("direct --path x --seconds 1 --change 1001", "0..=1000"),
        (
            "direct --path x --seconds 1 --change 1 --no-mutate",
            "--no-mutate",
        ),
        ("mmap --dir . --seconds 1 --file-size 1000", "4096"),
        ("mmap --dir . --seconds 1 --writers-write 65", "--threads"),
    ] {
        fails(line, 2, why);
    }
}

#[test]
fn what_cannot_run_is_status_1() {
    for (line, why) in [
        ("readback --path /nonexistent", "No such file"),
        ("readback --path /dev/null", "neither a regular file"),
        (
            "direct --path /dev/nonexistent --size 1M --seconds 1",
            "/dev/nonexistent",
        ),
    ] {
        fails(line, 1, why);
    }
}

#[test]
fn a_report_is_a_table_and_a_file() {
    let folder = folder("report");
    let out = folder.join("demo.json");
    let mut child = Command::new(env!("CARGO_BIN_EXE_loads"))
        .args(["report", "--out", out.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let row = concat!(
        r#"{"load":"B","device":"plain","writes":2,"failed":1,"#,
        r#""repaired":null,"bad_on_readback":0}"#
    );
    writeln!(child.stdin.take().unwrap(), "{row}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 3);
    let list: Value = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(list, Value::Array(vec![serde_json::from_str(row).unwrap()]));
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn a_verified_run_reads_back_what_it_wrote() {
    let file = folder("verify").join("file");
    let path = file.to_str().unwrap();
    let direct = ["direct", "--path", path, "--size", "8M", "--start", "1M"];
    let quiet = [
        "--seconds",
        "60",
        "--op-limit",
        "501",
        "--no-mutate",
        "--verify",
    ];
    let result = result(&[&direct[..], &quiet].concat());
    assert_eq!(result["writes"], 501);
    assert_eq!(result["bytes"], 501 * 4096);
    assert_eq!(result["failed"], 0);
    assert_eq!(result["mutations"], 0);
    assert!(result["verified"].as_u64().unwrap() > 100);
    assert_eq!(result["mismatched"], 0);
    assert_eq!(result["unreadable"], 0);
    assert_eq!(fs::metadata(&file).unwrap().len(), 9 << 20);
    // What precedes --start was not touched.
    assert!(fs::read(&file).unwrap()[..1 << 20]
        .iter()
        .all(|&byte| byte == 0));
}

#[test]
fn a_share_of_the_writes_is_changed() {
    let file = folder("change").join("file");
    let change = |share| {
        let path = file.to_str().unwrap();
        let direct = ["direct", "--path", path, "--size", "4M", "--jobs", "1"];
        let limits = ["--seconds", "60", "--op-limit", "1000"];
        let out = result(&[&direct[..], &limits, &["--change", share]].concat());
        assert_eq!(out["writes"], 1000);
        assert_eq!(out["failed"], 0);
        (
            out["chosen"].as_u64().unwrap(),
            out["mutations"].as_u64().unwrap(),
        )
    };
    assert_eq!(change("0"), (0, 0));
    let (some, mutations) = change("250");
    assert!((150..350).contains(&some), "{some} writes were changed");
    assert!(mutations > 0);
    assert_eq!(change("1000").0, 1000);
}

#[test]
fn a_held_write_is_found_again() {
    let file = folder("hold").join("file");
    fs::write(&file, vec![0; 1 << 20]).unwrap();
    let path = file.to_str().unwrap();
    let hold = [
        "hold",
        "--path",
        path,
        "--offset",
        "8192",
        "--after-ms",
        "0",
    ];
    let result = result(&[&hold[..], &["--read-back"]].concat());
    assert_eq!(result["result"], "ok");
    assert_eq!(result["content"], "old");
    assert_eq!(result["found"], result["old"]);
}

#[test]
fn a_good_file_reads_back() {
    let file = folder("readback").join("file");
    fs::write(&file, vec![1; (1 << 20) + 5]).unwrap();
    let result = result(&[
        "readback",
        "--path",
        file.to_str().unwrap(),
        "--chunk",
        "64K",
    ]);
    assert_eq!(result["blocks"], 257);
    assert_eq!(result["bad"], 0);
    assert_eq!(result["bytes"], (1 << 20) + 5);
}
