//! What the suites deploy: a server that can be slow or wrong, and a generator of load that counts every answer.

fn main() {}
