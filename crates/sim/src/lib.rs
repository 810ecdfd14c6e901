//! A deterministic cluster, mesh and metrics store in one process.

pub mod clock;
pub mod cluster;
pub mod faults;
pub mod mesh;
pub mod metrics;
