//! Checks the function's role: renders the template, evaluates the role's policy and compares it with the suite's
//! calls.
//!
//! - [`template`] renders template.yaml for given parameters, and [`intrinsics`] computes its functions.
//! - [`evaluate`] evaluates a policy for a request, with [`condition`] and [`pattern`].
//! - [`record`] stores every call of the suite, and [`names`] translates a call to other parameters.
//! - [`role_check`] checks the role for each of the [`combinations`] of parameters.
//! - [`negatives`] builds calls that must be denied, and [`mutants`] builds policies with one mistake. Both vary ARNs
//!   with [`mod@arn`].

pub mod arn;
pub mod combinations;
pub mod condition;
pub mod evaluate;
pub mod intrinsics;
pub mod mutants;
pub mod names;
pub mod negatives;
pub mod pattern;
pub mod record;
pub mod role_check;
pub mod template;
