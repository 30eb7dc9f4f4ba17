//! A gateway in this process, and a client that shows every byte. The main structure is [`Served`].

use std::collections::BTreeMap;
use std::net::SocketAddr;

use actix_pyproc::http::Gateway;
use actix_pyproc::{Pool, PoolConfig};
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{capped, start};

/// A gateway that is listening.
pub(crate) struct Served {
    pub(crate) pool: Pool,
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// Starts a pool and a gateway to it.
pub(crate) async fn serve(config: PoolConfig, with: impl FnOnce(Gateway) -> Gateway) -> Served {
    let pool = start(config).await;
    let gateway = with(Gateway::new(pool.clone()));
    let routes = gateway.routes();
    let server = HttpServer::new(move || App::new().configure(routes.clone()))
        .workers(1)
        .disable_signals()
        .h1_allow_half_closed(false)
        .bind("127.0.0.1:0")
        .expect("there is a free port");
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_rt::spawn(server);
    Served { pool, gateway, address, handle }
}

impl Served {
    /// A call with a JSON argument.
    pub(crate) async fn call(&self, function: &str, argument: Value) -> Answer {
        self.call_with(function, argument, &[]).await
    }

    pub(crate) async fn call_with(
        &self,
        function: &str,
        argument: Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let headers: Vec<_> = [("Content-Type", "application/json")].iter().chain(headers).copied().collect();
        post(self.address, &format!("/call/{function}"), &headers, argument.to_string().as_bytes()).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        exchange(self.address, "GET", path, headers, b"").await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        exchange(self.address, "GET", path, &[], b"").await
    }

    pub(crate) async fn stop(self) {
        self.pool.shutdown().await;
        self.handle.stop(false).await;
    }
}

pub(crate) async fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    exchange(address, "POST", path, headers, body).await
}

/// Sends a request on a new connection, and returns the connection to read the answer from.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the gateway listens");
    let mut head = format!("{method} {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head.push_str("Host: localhost\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("the gateway reads");
    // A gateway that refuses a request by its head does not read the rest.
    let _ = stream.write_all(body).await;
    stream
}

pub(crate) async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    capped(path, async {
        let mut stream = send(address, method, path, headers, body).await;
        let mut bytes = Vec::new();
        // A request that was refused by its head may be reset after the answer.
        let _ = stream.read_to_end(&mut bytes).await;
        Answer::parse(&bytes)
    })
    .await
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("the answer has a head");
        let head = String::from_utf8_lossy(&bytes[..end]);
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self { status, headers, body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn media(&self) -> &str {
        &self.headers["content-type"]
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Asserts that it is this problem, and returns it.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, kind: &str) -> Value {
        let problem = self.json();
        assert_eq!((self.status, &problem["kind"]), (status, &Value::from(kind)), "{problem}");
        assert_eq!(self.media(), "application/problem+json");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:pyproc:{kind}"));
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        problem
    }
}
