//! The suite: the handler against real protocols, every test in an account of its own.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
// Each helper is used by some test; those that write one test use others.
#![allow(dead_code)]

#[path = "../stand_in/mod.rs"]
mod stand_in;
#[path = "../support/mod.rs"]
mod support;

mod adopt;
mod answers;
mod arbitrary;
mod bad_input;
mod by_hand;
mod canaries;
mod consistency;
mod contents;
mod create;
mod delete;
mod events;
mod genuine_client;
mod killed;
mod lag;
mod layer;
mod leases;
mod matrix;
mod ownership;
mod puts;
mod role;
mod stand_in_checks;
mod sts;
mod tags;
mod twice;
mod update;
mod window;
