//! The function's role in template.yaml. Every test of the suite runs with this role, and `world/tests/role.rs` checks it
//! against all recorded calls.
//!
//! The tests here cover the template, and behavior that depends on the role's permissions. The tests of the policy
//! evaluator and of the renderer are in `world/tests`.

mod parameters;
mod reach;
mod rendering;
mod rights;
