//! The function's own role, as template.yaml writes it. Every test of the suite runs with it; `tests/role` judges it by all of
//! them together.
//!
//! Here is the rest: the evaluator against known cases, the template rendered, and what the role is in the way of.

mod known_cases;
mod parameters;
mod rendering;
mod rights;
