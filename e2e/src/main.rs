//! The program `serin-e2e`.

fn main() {}
