//! What came back for an event.

use serde_json::Value;

/// What CloudFormation reads.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The whole answer.
    pub value: Value,
}

impl Answer {
    /// Whether it says SUCCESS.
    pub fn is_success(&self) -> bool {
        self.value["Status"] == "SUCCESS"
    }

    /// The Reason; empty for a success.
    pub fn reason(&self) -> &str {
        self.value["Reason"].as_str().unwrap_or_default()
    }

    /// One of the Data.
    pub fn data(&self, name: &str) -> &str {
        self.value["Data"][name].as_str().unwrap_or_default()
    }

    /// Panics unless it says SUCCESS.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.is_success(), "{}", self.reason());
        self
    }

    /// Panics unless it says FAILED with all these words in its Reason.
    #[track_caller]
    pub fn failed(self, words: &[&str]) -> Self {
        assert_eq!(self.value["Status"], "FAILED", "{:?}", self.value);
        for word in words {
            assert!(self.reason().contains(word), "{word:?} is not in: {}", self.reason());
        }
        self
    }
}
