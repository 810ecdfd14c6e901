//! Expressions against hand-made series, and the HTTP API over a store.

mod api;
mod expressions;

/// 2024-10-04 12:00:00 UTC, in milliseconds.
const NOON: i64 = 1_728_043_200_000;
