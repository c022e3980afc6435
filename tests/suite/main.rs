//! Tests the handler over the real protocols of AWS, Coiled and CloudFormation. Each test has its own account.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#[path = "../support/mod.rs"]
mod support;

mod adopt;
mod advice;
mod answers;
mod arbitrary;
mod bad_input;
mod by_hand;
mod canaries;
mod consistency;
mod contents;
mod create;
mod delete;
mod echoes;
mod events;
mod fault_matrix;
mod genuine_client;
mod key_checks;
mod key_slots;
mod killed;
mod lag;
mod leases;
mod lost_replies;
mod outcomes;
mod ownership;
mod pages;
mod patience;
mod puts;
mod rare_states;
mod recovery;
mod response_urls;
mod role;
mod scenario;
mod strays;
#[path = "../../stand-in/tests/stand_in/sts.rs"]
mod sts;
mod tags;
mod tls;
mod trust;
mod twice;
mod unconnected;
mod unrecorded;
mod update;
mod values;
mod window;
