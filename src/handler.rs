//! One event in, one answer out.

use std::time::SystemTime;

use aws_config::SdkConfig;
use serde_json::Value;

use crate::config::Config;

/// Where this invocation runs: what the Lambda context says of it.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// When Lambda kills the process.
    pub deadline: SystemTime,
    /// The log group and stream, named in every Reason.
    pub log: String,
}

/// The function, with its clients.
#[derive(Debug, Clone)]
pub struct Function {}

impl Function {
    /// Clients from one shared SDK configuration (credentials, region, endpoints).
    pub fn new(_sdk: &SdkConfig, _config: Config) -> Self {
        Self {}
    }

    /// Handles one event; `Err` only where no answer could be delivered.
    pub async fn handle(&self, _event: Value, _invocation: Invocation) -> Result<(), String> {
        Ok(())
    }
}
