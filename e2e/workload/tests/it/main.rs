//! The binary from outside: servers and generators as processes, on loopback.

mod counts;
mod drain;
mod failures;
mod flags;
mod processes;
mod relay;
mod server;
