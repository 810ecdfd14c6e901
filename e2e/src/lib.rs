//! A real Kubernetes with Istio on one machine, and the suites that Serin has to pass there.

mod kit;
pub mod lab;
pub mod suites;
pub mod upstream;
