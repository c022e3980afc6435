//! The function's role, judged: the template rendered, its policy evaluated, and what came of the suite's calls.
//!
//! - [`template`] renders template.yaml for given parameters, [`intrinsics`] its functions.
//! - [`evaluate`] says what a policy says to a request; [`condition`] and [`pattern`] are its parts.
//! - [`record`] keeps every call of the suite; [`names`] carries one over to other parameters.
//! - [`judgement`] holds all of that against the role of each of the [`combinations`] of parameters. [`negatives`] are calls
//!   that must be denied, [`mutants`] mistakes in the policy that must be noticed; [`mod@arn`] has what both are made of.

pub mod arn;
pub mod combinations;
pub mod condition;
pub mod evaluate;
pub mod intrinsics;
pub mod judgement;
pub mod mutants;
pub mod names;
pub mod negatives;
pub mod pattern;
pub mod record;
pub mod template;
