//! The cluster on this machine: what it is built from, and how it starts and stops.
