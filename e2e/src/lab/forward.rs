//! Ports of the host's loopback that lead inside: two relays and a socket in the file system, which both sides see.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::daemon::{self, Daemon};
use super::layout::{API_PORT, GATEWAY_PORT, Layout, NODE_ADDRESS, PROMETHEUS_PORT};

/// A way in.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// What it leads to.
    pub name: &'static str,
    /// The port on 127.0.0.1 of the host.
    pub host_port: u16,
    /// The port of the node.
    pub node_port: u16,
}

/// To the API server.
pub const API: Forward = Forward { name: "api", host_port: API_PORT, node_port: 6443 };
/// To the ingress gateway's port 80, by its Service's node port.
pub const GATEWAY: Forward = Forward { name: "gateway", host_port: GATEWAY_PORT, node_port: 30080 };
/// To Prometheus, by its Service's node port.
pub const PROMETHEUS: Forward = Forward { name: "prometheus", host_port: PROMETHEUS_PORT, node_port: 30090 };

/// The relays of all of them.
#[must_use]
pub fn daemons(layout: &Layout) -> Vec<Daemon> {
    [API, GATEWAY, PROMETHEUS].iter().flat_map(|forward| relays(layout, *forward)).collect()
}

/// Starts both relays.
///
/// # Errors
/// If one cannot be started.
pub fn start(layout: &Layout, forward: Forward) -> Result<()> {
    for relay in relays(layout, forward) {
        if relay.place == daemon::Place::Inside && !daemon::is_alive(layout, &relay.name) {
            remove_socket(layout, forward)?;
        }
        daemon::launch(layout, &relay)?;
    }
    Ok(())
}

/// Fails with the log of a relay that does not run, such as when the port is in use.
///
/// # Errors
/// If one does not run.
pub fn expect_alive(layout: &Layout, forward: Forward) -> Result<()> {
    relays(layout, forward).iter().try_for_each(|relay| daemon::expect_alive(layout, &relay.name))
}

fn relays(layout: &Layout, forward: Forward) -> [Daemon; 2] {
    let Forward { name, host_port, node_port } = forward;
    let socket = socket(layout, forward);
    let socket = socket.display();
    let relay = |from: String, to: String| vec!["socat".to_owned(), from, to];
    [
        Daemon::inside(
            &format!("forward-{name}-inside"),
            relay(format!("UNIX-LISTEN:{socket},fork,mode=600"), format!("TCP:{NODE_ADDRESS}:{node_port}")),
        ),
        Daemon::outside(
            &format!("forward-{name}-outside"),
            relay(
                format!("TCP-LISTEN:{host_port},bind=127.0.0.1,reuseaddr,fork,nodelay"),
                format!("UNIX-CONNECT:{socket}"),
            ),
        ),
    ]
}

fn socket(layout: &Layout, forward: Forward) -> PathBuf {
    layout.run().join(format!("{}.sock", forward.name))
}

fn remove_socket(layout: &Layout, forward: Forward) -> Result<()> {
    let socket = socket(layout, forward);
    if socket.exists() {
        fs::remove_file(&socket).with_context(|| format!("failed to remove {}", socket.display()))?;
    }
    Ok(())
}
