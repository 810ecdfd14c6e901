//! Whole updates without a cluster: plans come true at once, and every story comes to rest.

mod analysis;
mod blue_green;
mod clients;
mod crashes;
mod deadlines;
mod effects;
mod experiments;
mod guard;
mod lab;
mod lag;
mod managed;
mod overwrites;
mod revisions;
mod scaling;
mod stories;
mod updates;
mod walks;
mod wire;
mod world;
