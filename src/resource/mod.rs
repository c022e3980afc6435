//! What Create, Update and Delete share: one run, the resource's tags, the lease, and what belongs to this stack.

pub mod adopted;
pub mod context;
pub mod creation;
pub mod lease;
pub mod observe;
pub mod ownership;
pub mod recognition;
pub mod record;
pub mod trust;
