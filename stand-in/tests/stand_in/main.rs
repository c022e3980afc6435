//! Tests of the stand-in for Coiled. The function's tests rely on it to check every call that the function makes to
//! Coiled. The genuine client's checks of the stand-in are in the function's suite.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod access;
mod client;
mod faults;
mod messages;
mod sts;
