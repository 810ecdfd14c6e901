//! Evidence against simulated rollouts, and against another implementation of the same mathematics.

mod confseq;
mod ville;

#[path = "../../../examples/evidence_table/draw.rs"]
mod draw;
#[path = "../../../examples/evidence_table/race.rs"]
mod race;
#[path = "../../../examples/evidence_table/rivals.rs"]
mod rivals;
#[path = "../../../examples/evidence_table/traffic.rs"]
mod traffic;
