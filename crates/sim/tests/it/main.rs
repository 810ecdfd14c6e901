//! Tests of the simulator from outside: real programs against its sockets, and the real controller in its world.

#[cfg(test)]
mod adoption;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod blue_green;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod contrast;
#[cfg(test)]
mod experiments;
#[cfg(test)]
mod general;
#[cfg(test)]
mod git_tool;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod handover;
#[cfg(test)]
mod istiod_away;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod kubectl;
#[cfg(test)]
mod live;
#[cfg(test)]
mod model;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod restarts;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod shell_crash;
#[cfg(test)]
mod shell_edits;
#[cfg(test)]
mod snapshot;
#[cfg(test)]
mod stories;
