//! The stand-in for Coiled, to start by hand.
fn main() {}
