//! Bodies that arrive slowly or in large numbers.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Answer, Served, serve};
use crate::support::{capped, worker};

/// Sends the head of a call with a body of `length` bytes, and `sent` bytes of it.
async fn begin(served: &Served, length: usize, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(served.address).await.expect("it listens");
    let head = format!(
        "POST /call/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("it reads");
    stream.write_all(&vec![b'x'; sent]).await.expect("it reads");
    stream
}

async fn answer(stream: &mut TcpStream) -> Answer {
    let mut answer = Vec::new();
    // The connection may be reset after the answer if the body was not read.
    let _ = capped("the answer", stream.read_to_end(&mut answer)).await;
    Answer::parse(&answer)
}

#[actix_rt::test]
async fn a_body_that_does_not_come_in_time_is_408_and_its_connection_ends() {
    let served =
        serve(worker("contract.py"), |gateway| gateway.body_timeout(Duration::from_millis(50))).await;
    for sent in [0, 1] {
        let mut stream = begin(&served, 1000, sent).await;
        let answered = answer(&mut stream).await;
        assert_eq!(answered.headers["connection"], "close");
        assert_eq!(answered.is_problem(408, "body_timeout")["may_have_run"], false);
    }
    assert_eq!(served.pool.status().await.functions.len(), 0, "nothing was called");
    served.stop().await;
}

#[actix_rt::test]
async fn bodies_that_are_half_there_are_bounded_over_all_connections() {
    let served =
        serve(worker("contract.py"), |gateway| gateway.body_limit(100_000).bodies_limit(100_000)).await;
    let (one, other) = (begin(&served, 100_000, 60_000).await, begin(&served, 100_000, 60_000).await);
    // Either of them can be the one too many.
    let (mut one_byte, mut other_byte) = ([0], [0]);
    let (refused, mut stays) = capped("a refusal", async {
        tokio::select! {
            read = one.peek(&mut one_byte) => read.map(|_| (one, other)),
            read = other.peek(&mut other_byte) => read.map(|_| (other, one)),
        }
    })
    .await
    .expect("it is answered");
    let mut refused = refused;
    let answered = answer(&mut refused).await;
    assert!(answered.headers.contains_key("retry-after"));
    let problem = answered.is_problem(503, "too_many_bodies");
    assert_eq!((&problem["may_have_run"], &problem["retryable"]), (&Value::Bool(false), &Value::Bool(true)));

    stays.write_all(&[b'x'; 40_000]).await.expect("it reads");
    let answered = answer(&mut stays).await;
    assert_eq!((answered.status, answered.body.len()), (200, 100_000));
    let mut next = begin(&served, 100_000, 100_000).await;
    assert_eq!(answer(&mut next).await.status, 200, "a complete body no longer counts");
    served.stop().await;
}

/// In 0.1 one byte of a body reserved as much as was declared, and 77 slow connections exhausted a
/// host with 4 GiB of address space.
#[actix_rt::test]
async fn slow_bodies_reserve_what_came_and_not_what_they_declare() {
    let served = serve(worker("contract.py"), |gateway| gateway.body_timeout(Duration::from_secs(2))).await;
    let before = greatest_size();
    let mut connections = Vec::new();
    for _ in 0..100 {
        connections.push(begin(&served, 64 << 20, 1).await);
    }
    for mut connection in connections {
        answer(&mut connection).await.is_problem(408, "body_timeout");
    }
    // Other tests of this process contribute to it.
    assert!(greatest_size() - before < 4 << 30, "100 bodies of 64 MiB were declared");
    served.stop().await;
}

/// The largest address space that this process has had, in bytes.
fn greatest_size() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("it is there");
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmPeak:")?.trim().strip_suffix(" kB")?.parse().ok());
    kib.map(|kib: usize| kib << 10).expect("the kernel counts it")
}
