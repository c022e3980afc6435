//! The client that Coiled publishes, unchanged, in processes of its own: it defines what is true here.
//!
//! It proves the stand-in (`against_the_stand_in`, `setup_aws`), and it records what it would have registered, so that
//! what the function registers can be compared ([`registrations`]).

mod adoption;
mod against_the_stand_in;
mod policies;
mod process;
mod recordings;
mod same_registration;
mod setup_aws;

pub use process::GenuineClient;
pub use recordings::{comparable, registration, registrations};
