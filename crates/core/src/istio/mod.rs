//! Istio's objects as pure edits of raw JSON: only our weights, our routes and our label change.

pub mod destination_rule;
pub mod experiments;
pub mod farewell;
pub mod host;
pub mod managed;
mod matching;
pub(crate) mod patch;
mod record;
pub mod reference;
pub mod routes;
pub mod service;
pub mod virtual_service;

pub use destination_rule::subset_selects;
pub use managed::{ManagedKind, ManagedRoute};
pub use routes::{Protocol, RouteAt, Selection};
pub use virtual_service::{RouteWeights, Side, Sides, WeightRange};
