//! The Lambda function behind the custom resource `Custom::CoiledConnection`, which connects an AWS account to a Coiled
//! workspace.
//!
//! # Contract
//! - Every request with a `ResponseURL` gets exactly one response before the deadline.
//! - Create, Update and Delete are idempotent: repeating a request does not change anything further. Delete succeeds
//!   even if Create never ran or resources are already deleted.
//! - Users and policies without this stack's ownership tags are never changed or deleted, except those that
//!   `AdoptExisting` takes over.
//! - A failed Create undoes its changes. After a failed Update, CloudFormation's rollback restores the previous state.
//! - Coiled does not keep a key that does not work. `docs/guarantees.md` lists the exceptions.
//! - No secret is stored, logged or returned.
//!
//! # Layout
//! ```text
//! Value ─ request::Envelope ─ properties::Spec (Create, Update) | properties::Remnant (Delete)
//!                         │
//!   present: checks ─ observe::Observed ─ plan::plan (pure) ─ apply::Run ─ undo on failure
//!   absent:  find ─ check blockers ─ disconnect ─ delete contents, policies, user; or restore a failed adoption
//!                         │
//!             response::Response ─ one PUT
//! ```
//! - [`handler`]: receives an event and sends the response. [`context`]: the state of one run. It turns timeouts and
//!   panics into failures.
//! - [`iam`]: user, keys, policies, contents, and the tags, which store the state between runs. [`sts`]: the
//!   function's account, and whether a key works. [`secrets`]: reads tokens from Secrets Manager.
//! - [`coiled`]: the Coiled server's API. [`coiled::registration`] builds the message, [`coiled::socket`] sends it.
//! - [`patience`]: decides how long AWS calls are retried. [`reply`]: what a failed call means.
//! - [`error`]: causes of failures, with advice. [`advice`]: the advice for AWS errors. [`denial`]: which kind of
//!   policy denies an AWS call. [`page`]: HTML pages that a proxy sent. [`redact`]: keeps secrets out of logs and
//!   responses.
//! - [`trust`]: which server, secrets and workspace a run may use. [`physical_id`]: the ID that CloudFormation stores.
//! - [`deadline`]: divides the time between work, undo and response. [`config`]: wait times and retries.

pub mod absent;
pub mod advice;
pub mod apply;
pub mod aws;
pub mod certificate;
pub mod coiled;
pub mod config;
pub mod context;
pub mod deadline;
pub mod denial;
pub mod destination;
pub mod error;
pub mod handler;
pub mod iam;
pub mod log;
pub mod observe;
pub mod page;
pub mod patience;
pub mod physical_id;
pub mod plan;
pub mod present;
pub mod properties;
pub mod recovery;
pub mod redact;
pub mod reply;
pub mod request;
pub mod response;
pub mod restore;
pub mod secrets;
pub mod sts;
pub mod trust;
pub mod undo;
