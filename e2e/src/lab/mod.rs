//! The cluster on this machine: what it is built from, and how it starts and stops.
//!
//! ```text
//!   build                                     start, stop                            for the suites
//!   build      what, in which order           parts      what can be left out        endpoints  where the cluster is
//!   debian     packages that must be there    start      stages, in order            daemon     end, kill, start one
//!   golang     programs from Go's proxy       stop       and what must not be left   namespaces enter
//!   images     what goes into which image     namespaces the holder, its network     image      write one
//!   oap        SkyWalking's servers           cgroups    made, mounted, removed
//!   image      one image as an archive        pki        keys and kubeconfigs
//!   libraries  what a program is linked to    daemon     programs by name
//!   digest     what is current                forward    ports of the host
//!                                             control_plane node simulated stages istio prometheus skywalking
//! ```
//!
//! Everything that runs is in namespaces of one process, the holder: it ends, and all ends. Files are below one home folder, see
//! [`layout`]. [`ability`] says whether a machine can run all this. All functions block; `command`, `process`, `http`, `kubectl`, `lock` and `progress` are what they are made with.

pub mod ability;
pub mod build;
pub mod cgroups;
pub mod command;
pub mod commands;
pub mod control_plane;
pub mod daemon;
pub mod debian;
pub mod digest;
mod endpoints;
pub mod forward;
pub mod golang;
pub mod http;
pub mod image;
pub mod images;
pub mod istio;
pub mod kubectl;
pub mod layout;
pub mod libraries;
pub mod lock;
pub mod namespaces;
pub mod node;
pub mod oap;
pub mod parts;
pub mod pki;
pub mod process;
pub mod progress;
pub mod prometheus;
#[cfg(test)]
pub(crate) mod scratch;
pub mod simulated;
pub mod skywalking;
pub mod stages;
pub mod start;
pub mod stop;

pub use endpoints::Endpoints;
