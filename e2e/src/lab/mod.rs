//! The cluster on this machine: what it is built from, and how it starts and stops.

pub mod digest;
pub mod image;
pub mod layout;
pub mod libraries;
#[cfg(test)]
mod scratch;
