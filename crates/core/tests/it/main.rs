//! Integration tests of the core, in one binary because every further one links for seconds.

mod condition;
mod evidence;
