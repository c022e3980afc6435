//! Tests with the unchanged `coiled` client, which defines the correct behavior. It runs in its own process.
//!
//! The tests check the stand-in against the client (`against_the_stand_in`, `setup_aws`). They also compare the
//! function's registrations with the client's ([`registrations`]).

mod adoption;
mod against_the_stand_in;
mod policies;
mod process;
mod recordings;
mod same_registration;
mod setup_aws;

pub use process::GenuineClient;
pub use recordings::{comparable, registration, registrations};
