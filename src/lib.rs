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
//! A module imports only from itself and from the layers below it. The same applies to the files of `resource`,
//! `reconcile`, `reconcile/plan` and `delete`. `tools/test_layers.py` lists their layers and checks that.
//! ```text
//! handler        receives an event, and sends the response
//! reconcile      Create and Update: preflight ─ plan ─ apply ─ undo after a failure
//! delete         Delete: find ─ blockers ─ deregister ─ delete everything, or restore a failed adoption
//! resource       what both share: the state of a run, the lease, the ownership tags, the record of a registration,
//!                and which server, secrets and workspace a run may use
//! coiled         the Coiled server's API
//! aws            IAM, STS and Secrets Manager: the calls, what a failed call means, and how long calls are retried
//! config         wait times, and what the function was deployed for
//! cloudformation the request, the response, and the physical ID that CloudFormation stores
//! properties     validates the properties of a request
//! error          the causes of failures, with advice
//! certificate, deadline, http, lock, log, page, redact, tag: small modules that every layer above may use
//! ```
//! In `reconcile`, `preflight` runs every check. `plan` computes the steps from the properties and the observed state,
//! without any call. `apply` performs them: for each step, one function notes the undo in the `journal`, performs the
//! step, and notes whether it succeeded. `step` lists all steps and their undos. `undo` runs the undos after a failure.

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
