//! Tests of the world itself. If it were wrong, the function's tests would prove too little.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod known_cases;
mod layer;
mod renderer;
mod state;
