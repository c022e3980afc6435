//! What Create, Update and Delete share: one run, the resource's tags, the lease, and what belongs to this stack.

pub(crate) mod adopted;
pub(crate) mod context;
pub(crate) mod creation;
pub mod lease;
pub(crate) mod observe;
pub mod ownership;
pub(crate) mod recognition;
pub mod record;
pub(crate) mod trust;
