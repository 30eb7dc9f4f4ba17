//! A minimal HTTP client for examples that call themselves. The main item is [`ask`].

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends a request, prints it and the response, and returns the body of the response.
///
/// A response with an unexpected status is an error.
pub(crate) async fn ask(
    address: SocketAddr,
    what: &str,
    content_type: &str,
    body: &str,
    expected: u16,
) -> io::Result<String> {
    println!("\n{what} {}", beginning(body));
    let mut stream = TcpStream::connect(address).await?;
    let head =
        format!("{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: {content_type}");
    stream.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let status = head.lines().next().unwrap_or_default();
    println!("    {status} {}", beginning(body));
    match status.starts_with(&format!("HTTP/1.1 {expected} ")) {
        true => Ok(body.to_owned()),
        false => Err(io::Error::other(format!("{what}: expected status {expected}"))),
    }
}

/// The first line, cut at 300 characters.
fn beginning(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let shown: String = line.chars().take(300).collect();
    if shown.len() < text.trim_end().len() { format!("{shown}… ({} bytes)", text.len()) } else { shown }
}
