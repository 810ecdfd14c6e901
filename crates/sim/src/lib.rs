//! A deterministic cluster, mesh and metrics store in one process, with the real controller between them.
//!
//! ```text
//!   manifests ─► stage ─► world ─┬─ cluster (API server) ─ workload (pods come to life)
//!                                ├─ mesh ─ metrics (PromQL, SkyWalking)
//!                                └─ the controller's engine
//!   simulate: virtual time, no waiting      demo: accelerated time, open to kubectl
//! ```

pub mod clock;
pub mod cluster;
pub mod demo;
pub mod faults;
mod feed;
pub mod image;
mod istiod;
pub mod manifests;
pub mod mesh;
pub mod metrics;
mod person;
mod rollout_object;
pub mod simulate;
pub mod source;
pub mod stage;
pub mod streams;
pub mod timeline;
pub mod workload;
pub mod world;

pub use world::{World, WorldConfig};
