//! The metrics sources of the simulation: what the mesh served, told as Prometheus and as SkyWalking would tell it.

pub mod prometheus;
pub mod skywalking;
mod store;
mod timeline;

pub use store::{Call, CallId, Caller, Outcome, Recording, Server, Store, StoreConfig};
