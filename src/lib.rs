//! Connects an AWS account to a Coiled workspace.
pub mod config;
pub mod handler;
