//! Istio's objects as pure edits of raw JSON: only our weights and our label change.

pub mod destination_rule;
pub mod farewell;
pub mod host;
mod patch;
pub mod reference;
pub mod routes;
pub mod service;
pub mod virtual_service;

pub use destination_rule::subset_selects;
pub use routes::{Protocol, RouteAt, Selection};
pub use virtual_service::{RouteWeights, Side, Sides, WeightRange};
