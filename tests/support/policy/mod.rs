//! The function's role, judged: the template rendered, its policy evaluated, and what came of the suite's calls.
//!
//! - [`template`] renders template.yaml for given parameters, [`intrinsics`] its functions.
//! - [`evaluate`] says what a policy says to a request; [`condition`] and [`pattern`] are its parts.

pub mod condition;
pub mod evaluate;
pub mod intrinsics;
pub mod pattern;
pub mod template;
