//! The IAM side of a connection: the user, its two policies, its keys and their tags.

pub(crate) mod contents;
pub mod document;
pub(crate) mod holders;
pub(crate) mod keys;
mod pages;
pub(crate) mod policy;
pub(crate) mod retag;
pub(crate) mod user;

use aws_sdk_iam::Client;
use aws_sdk_iam::types;

use crate::aws::patience::Patience;
use crate::tag::Tag;

/// The IAM client, with the retry policy of one run.
#[derive(Debug, Clone)]
pub(crate) struct Iam {
    client: Client,
    patience: Patience,
}

impl Iam {
    /// A client for one run.
    pub(crate) fn new(client: Client, patience: Patience) -> Self {
        Self { client, patience }
    }
}

/// The AWS account and partition in which the function runs. All ARNs are built from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: String,
    /// The account ID, which has twelve digits.
    pub id: String,
}

impl Account {
    /// Reads the account from an IAM ARN. `None` if the ARN is malformed or does not name an account.
    pub fn of_arn(arn: &str) -> Option<Self> {
        match crate::properties::arn(arn).as_slice() {
            ["arn", partition, _, _, id, _] if !id.is_empty() => {
                Some(Self { partition: (*partition).to_owned(), id: (*id).to_owned() })
            }
            _ => None,
        }
    }

    /// The ARN of a policy. `path` starts and ends with `/`.
    pub(crate) fn policy_arn(&self, path: &str, name: &str) -> String {
        format!("arn:{}:iam::{}:policy{path}{name}", self.partition, self.id)
    }

    /// The ARN of a user. `path` starts and ends with `/`.
    pub(crate) fn user_arn(&self, path: &str, name: &str) -> String {
        format!("arn:{}:iam::{}:user{path}{name}", self.partition, self.id)
    }
}

fn to_sdk(tags: &[Tag]) -> Vec<types::Tag> {
    // `build` fails only if the key or the value is missing, and a `Tag` has both.
    tags.iter().filter_map(|tag| types::Tag::builder().key(&tag.key).value(&tag.value).build().ok()).collect()
}

fn from_sdk(tags: &[types::Tag]) -> Vec<Tag> {
    tags.iter().map(|tag| Tag::new(tag.key(), tag.value())).collect()
}
