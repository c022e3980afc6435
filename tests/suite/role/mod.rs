//! The function's role in template.yaml. Every test of the suite runs with this role, and `tests/role` checks it
//! against all recorded calls.
//!
//! The tests here cover the policy evaluator, the template renderer, and behavior that depends on the role's
//! permissions.

mod known_cases;
mod parameters;
mod reach;
mod rendering;
mod rights;
