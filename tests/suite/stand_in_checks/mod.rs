//! Tests of the stand-in for Coiled. The other tests rely on it to check every call that the function makes to Coiled.

mod access;
mod client;
mod faults;
mod messages;
