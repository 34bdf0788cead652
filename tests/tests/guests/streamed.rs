//! An answer is read while it is sent: the server does not send a piece before the guest has logged the one before it, so that a
//! host that waits for the whole answer would wait for ever.

use crate::support::*;
use runtime::{Class, PluginSource, Runtime};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const PIECES: [&str; 3] = ["one", "two", "three"];
/// More than a busy machine needs; a host that holds pieces back meets it.
const LONGEST: Duration = Duration::from_secs(60);

/// Has `task` read a slow answer and checks each piece.
pub async fn check(runtime: &Runtime, plugin: &PluginSource, task: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sink = Arc::new(Kept::default());
    let mut request = request(plugin, task, &format!(r#"{{"url":"http://127.0.0.1:{port}/slow"}}"#));
    request.grants = Arc::new(loopback(port));
    request.sink = sink.clone();
    request.limits.wall = Some(LONGEST);
    let (outcome, ()) = tokio::join!(runtime.run(request), serve(listener, &sink));
    assert_eq!(outcome.metrics.http_requests, 1);
    let outputs = outputs(outcome);
    assert_eq!(outputs["status"], 200);
    assert_eq!(outputs["pieces"], 3);
    assert_eq!(outputs["text"], PIECES.concat());
}

async fn serve(listener: TcpListener, sink: &Kept) {
    let (mut connection, _) = listener.accept().await.unwrap();
    read_head(&mut connection).await;
    connection.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    for piece in PIECES {
        connection.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await.unwrap();
        tokio::time::timeout(LONGEST, sink.wait_for(&format!("piece {piece}")))
            .await
            .expect("the piece is shown before the next is sent");
    }
    connection.write_all(b"0\r\n\r\n").await.unwrap();
}

async fn read_head(connection: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
}

#[tokio::test]
async fn rust_guest_reads_an_answer_while_it_is_sent() {
    check(&runtime(), &prebuilt("proof-http"), "proof.http.Stream").await;
}

#[tokio::test]
async fn request_without_grant_never_leaves() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let request =
        request(&prebuilt("proof-http"), "proof.http.Stream", &format!(r#"{{"url":"http://127.0.0.1:{port}/"}}"#));
    let failure = failure(runtime().run(request).await);
    assert_failure(&failure, Class::Guest, "NOT_GRANTED");
    assert!(tokio::time::timeout(Duration::ZERO, listener.accept()).await.is_err(), "somebody connected");
}
