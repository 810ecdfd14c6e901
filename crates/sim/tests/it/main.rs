//! Tests of the simulator from outside: real programs against its sockets.

#[cfg(test)]
mod kubectl;
