//! Whole updates without a cluster: plans come true at once, and every story comes to rest.

mod adoption;
mod affinity;
mod analysis;
mod blue_green;
mod clients;
mod crashes;
mod deadlines;
mod effects;
mod guard;
mod lag;
mod managed;
mod neighbours;
mod overwrites;
mod ping_pong;
mod restarts;
mod revisions;
mod rollbacks;
mod scaling;
mod stories;
mod updates;
mod walks;
mod wire;
mod workload;
mod world;
