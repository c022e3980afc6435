//! The function's own role, as template.yaml writes it.
//!
//! Here is what holds without a run: the evaluator against
//! known cases, and the template rendered.

mod known_cases;
mod rendering;
mod rights;
