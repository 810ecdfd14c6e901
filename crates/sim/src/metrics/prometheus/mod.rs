//! Answers PromQL over the HTTP API of Prometheus, from what the mesh served.

mod aggregate;
mod api;
mod binary;
mod eval;
mod functions;
mod histogram;
mod over_time;
mod parameters;
mod scraped;
mod select;
#[cfg(test)]
mod tests;
mod value;

pub use api::Prometheus;
