//! The suite: the handler against real protocols.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod genuine_client;
#[allow(dead_code)]
#[path = "../stand_in/mod.rs"]
mod stand_in;
mod stand_in_checks;
mod sts;
