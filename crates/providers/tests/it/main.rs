//! What providers make of the answers of their sources.

mod fake;
mod over_http;
mod prometheus;
mod redaction;
mod skywalking;
mod skywalking_old;
mod sources;
mod web;
