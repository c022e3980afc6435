//! Connects an AWS account to a Coiled workspace: the function behind the custom resource `Custom::CoiledConnection`.
//!
//! # Contract
//! - Every request with a `ResponseURL` gets exactly one answer, before the deadline, whatever happens.
//! - Create, Update and Delete are idempotent: a repeated event finds its work done. Delete tolerates a Create that
//!   never ran, and what was removed already.
//! - What does not carry this stack's marks is never changed and never removed.
//! - A Create that fails takes back what it made. An Update that fails leaves a state from which the reversed Update
//!   gets back. Coiled is never left with a key that does not work.
//! - No secret is ever stored, logged or answered.
//!
//! # Layout
//! ```text
//! Value ─ request::Envelope ─ properties::Spec (Create, Update) | properties::Remnant (Delete)
//!                         │
//!   present: checks ─ observe::Observed ─ plan::plan (pure) ─ apply::Run ─ undo on failure
//!   absent:  look ─ blockers ─ disconnect ─ empty ─ policies ─ user; or give_back, what was adopted in vain
//!                         │
//!             response::Response ─ one PUT
//! ```
//! - [`handler`]: one event in, one answer out. [`context`]: what one run knows; deadlines and panics become failures.
//! - [`iam`]: user, keys, policies, contents, and the marks in tags that are the only state. [`sts`]: who the function is,
//!   and whether a key works. [`secrets`]: tokens out of Secrets Manager.
//! - [`coiled`]: Coiled's control plane. [`coiled::registration`] is the message, [`coiled::socket`] its way.
//! - [`error`]: causes, each with what the reader does next. [`redact`]: what must not be printed.
//! - [`deadline`]: how much time work, undo and answer get. [`config`]: how patient the function is.

pub mod absent;
pub mod apply;
pub mod aws;
pub mod coiled;
pub mod config;
pub mod context;
pub mod deadline;
pub mod error;
pub mod handler;
pub mod iam;
pub mod log;
pub mod observe;
pub mod plan;
pub mod present;
pub mod properties;
pub mod redact;
pub mod request;
pub mod response;
pub mod restore;
pub mod secrets;
pub mod sts;
pub mod undo;
