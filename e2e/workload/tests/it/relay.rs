//! A port that passes each new connection on to whatever server it is pointed at, as a Service does.

use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Relay {
    pub(crate) address: String,
    backends: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    /// New connections go to these in turn.
    pub(crate) async fn to(backends: &[&str]) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let relay = Relay { address: listener.local_addr().expect("an address").to_string(), backends: Arc::default() };
        relay.point_at(backends);
        let backends = relay.backends.clone();
        tokio::spawn(async move {
            for number in 0.. {
                let (mut inner, _) = listener.accept().await.expect("a connection");
                let backend = {
                    let backends = backends.lock().expect("no panic");
                    backends[number % backends.len()].clone()
                };
                tokio::spawn(async move {
                    let mut outer = TcpStream::connect(backend).await.expect("a server");
                    let _ = copy_bidirectional(&mut inner, &mut outer).await;
                });
            }
        });
        relay
    }

    /// From now on new connections go there; those that exist stay.
    pub(crate) fn point_at(&self, backends: &[&str]) {
        *self.backends.lock().expect("no panic") = backends.iter().map(|name| (*name).to_owned()).collect();
    }
}
