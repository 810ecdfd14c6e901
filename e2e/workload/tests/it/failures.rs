//! What the generator says of targets that do not answer as they should.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::processes::{Process, load};

/// What a target does when a request has come on a connection.
#[derive(Clone, Copy)]
enum Act {
    /// Writes this and keeps the connection.
    Say(&'static str),
    /// Writes this and closes.
    SayAndClose(&'static str),
    /// Drops the connection with a reset.
    Reset,
    /// Writes nothing.
    Wait,
}

/// A target that does one after the other on each connection, and the last one again and again.
async fn target(acts: &'static [Act]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(converse(stream, acts));
        }
    });
    address
}

async fn converse(mut stream: TcpStream, acts: &[Act]) {
    let mut turn = 0;
    let mut request = [0; 4096];
    // The generator's requests are small and come in one piece.
    while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
        match acts[turn.min(acts.len() - 1)] {
            Act::Say(text) => stream.write_all(text.as_bytes()).await.expect("a reader"),
            Act::SayAndClose(text) => {
                let _ = stream.write_all(text.as_bytes()).await;
                return;
            }
            Act::Reset => {
                stream.set_zero_linger().expect("a socket");
                return;
            }
            Act::Wait => std::future::pending().await,
        }
        turn += 1;
    }
}

/// Every request fails, each with this cause.
async fn check(address: &str, variables: &[(&str, &str)], expected: &str) {
    let load: Process = load(address, &[variables, &[("RATE", "200")]].concat()).await;
    load.until(|counts| counts.failed_total() >= 5).await;
    let counts = load.drain().await;
    assert_eq!(counts.failed.keys().collect::<Vec<_>>(), [expected]);
    assert_eq!((counts.failed_total(), counts.answered_total()), (counts.sent, 0));
}

const UNHEALTHY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 19\r\ncontent-type: text/plain\r\n\
                         server: istio-envoy\r\n\r\nno healthy upstream";
const RESET: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 95\r\nserver: istio-envoy\r\n\r\n\
                     upstream connect error or disconnect/reset before headers. reset reason: connection termination";
const NO_ROUTE: &str = "HTTP/1.1 404 Not Found\r\nserver: istio-envoy\r\ncontent-length: 0\r\n\r\n";
const GOOD: &str = "HTTP/1.1 200 OK\r\nx-version: v1\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn answers_of_the_proxy_are_failures() {
    check(&target(&[Act::Say(UNHEALTHY)]).await, &[], "no-healthy-upstream (503)").await;
    check(&target(&[Act::Say(UNHEALTHY)]).await, &[("FRESH", "true")], "no-healthy-upstream (503)").await;
    check(&target(&[Act::Say(RESET)]).await, &[], "upstream-reset (503): connection termination").await;
    check(&target(&[Act::Say(NO_ROUTE)]).await, &[], "no-route (404)").await;
}

#[tokio::test]
async fn failures_of_the_client_are_told_apart() {
    check(&target(&[Act::SayAndClose("")]).await, &[], "closed").await;
    check(&target(&[Act::Reset]).await, &[], "reset").await;
    check(&target(&[Act::SayAndClose("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")]).await, &[], "cut-off").await;
    check(&target(&[Act::SayAndClose("HTTP/1.1 20")]).await, &[], "cut-off").await;
    check(&target(&[Act::SayAndClose("SSH-2.0-sshd\r\n\r\n")]).await, &[], "not-http").await;
    check(&target(&[Act::Wait]).await, &[("TIMEOUT", "50ms")], "timeout").await;
    check("nowhere.invalid", &[], "dns").await;
    let (_socket, address) = nobody();
    check(&address, &[], "refused").await;
}

#[tokio::test]
async fn a_kept_connection_that_ends_at_its_next_use_is_stale() {
    let closed: &'static [Act] = &[Act::Say(GOOD), Act::SayAndClose("")];
    let reset: &'static [Act] = &[Act::Say(GOOD), Act::Reset];
    for acts in [closed, reset] {
        let load = load(&target(acts).await, &[("RATE", "200")]).await;
        load.until(|counts| counts.failed_total() >= 5).await;
        let counts = load.drain().await;
        assert_eq!(counts.failed.keys().collect::<Vec<_>>(), ["stale-connection"]);
        assert_eq!(counts.answered["v1"].keys().copied().collect::<Vec<_>>(), [200]);
    }
}

#[tokio::test]
async fn an_answer_without_a_version_is_counted_as_none() {
    let load = load(&target(&[Act::Say("HTTP/1.1 204 No Content\r\n\r\n")]).await, &[]).await;
    load.until(|counts| counts.answered_total() >= 5).await;
    let counts = load.drain().await;
    assert_eq!(counts.answered["none"][&204], counts.sent);
}

/// An address where nobody listens, for as long as the socket lives: bound, it keeps the port, and does not accept.
fn nobody() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = socket.local_addr().expect("an address").to_string();
    (socket, address)
}
