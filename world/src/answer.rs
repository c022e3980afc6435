//! The response to one event.

use serde_json::Value;

/// The response body, as CloudFormation reads it.
#[derive(Debug, Clone)]
pub struct FunctionResponse {
    pub value: Value,
}

impl FunctionResponse {
    pub fn is_success(&self) -> bool {
        self.value["Status"] == "SUCCESS"
    }

    /// The `Reason` field, empty in a success.
    pub fn reason(&self) -> &str {
        self.value["Reason"].as_str().unwrap_or_default()
    }

    /// One value of the `Data` object, empty if it is missing.
    pub fn data(&self, name: &str) -> &str {
        self.value["Data"][name].as_str().unwrap_or_default()
    }

    /// Panics unless `Status` is SUCCESS.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.is_success(), "{}", self.reason());
        self
    }

    /// Panics unless `Status` is FAILED and `Reason` contains all these words.
    #[track_caller]
    pub fn failed(self, words: &[&str]) -> Self {
        assert_eq!(self.value["Status"], "FAILED", "{:?}", self.value);
        for word in words {
            assert!(self.reason().contains(word), "{word:?} is not in: {}", self.reason());
        }
        self
    }
}
