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
//!   reconcile: checks ─ observe::Observed ─ plan::plan (pure) ─ apply::Run ─ undo on failure
//!   delete:    find ─ check blockers ─ disconnect ─ delete contents, policies, user; or restore a failed adoption
//!                         │
//!             response::Response ─ one PUT
//! ```
//! - [`handler`]: receives an event and sends the response. [`cloudformation`]: the request, the response, and the
//!   physical ID that CloudFormation stores.
//! - [`reconcile`]: Create and Update. [`delete`]: Delete.
//! - [`resource`]: shared by both. It holds the state of one run, the tags that store the state between runs, and the
//!   rules for which server, secrets and workspace a run may use.
//! - [`aws`]: IAM, STS and Secrets Manager, what a failed call means, and how long calls are retried.
//! - [`coiled`]: the Coiled server's API.
//! - [`properties`]: validates what the template passes on.
//! - [`error`]: causes of failures, with advice. [`certificate`]: TLS certificates that are not trusted. [`page`]: HTML
//!   pages that a proxy sent. [`redact`]: keeps secrets out of logs and responses.
//! - [`deadline`]: divides the time between work, undo and response. [`config`]: wait times and retries.

pub mod aws;
pub(crate) mod certificate;
pub mod cloudformation;
pub mod coiled;
pub mod config;
pub mod deadline;
pub(crate) mod delete;
pub mod error;
pub mod handler;
pub(crate) mod http;
pub(crate) mod lock;
pub mod log;
pub(crate) mod page;
pub mod properties;
pub(crate) mod reconcile;
pub mod redact;
pub mod resource;
pub mod tag;
