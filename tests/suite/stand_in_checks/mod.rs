//! The stand-in is the judge of what the function says to Coiled, so these tests judge the stand-in.

mod access;
mod client;
mod faults;
mod messages;
