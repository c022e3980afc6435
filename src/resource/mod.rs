//! What Create, Update and Delete share: the state of a run, the lease, the tags of the user and its policies, and how
//! a run recognizes the resources of its stack.

pub(crate) mod adopted;
pub(crate) mod context;
pub(crate) mod key_time;
pub mod lease;
pub(crate) mod leasing;
pub(crate) mod observe;
pub mod ownership;
pub(crate) mod recognition;
pub mod record;
pub(crate) mod suspects;
pub(crate) mod trust;
