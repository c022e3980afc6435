//! The IAM side of a connection: the user, its two policies, its keys, and the marks on them.

pub mod adopted;
pub mod contents;
pub mod document;
pub mod keys;
pub mod policy;
pub mod retag;
pub mod tags;
pub mod user;

use aws_sdk_iam::Client;
use aws_sdk_iam::types;

use crate::aws::Patience;
use crate::properties::tags::Tag;

/// IAM's client, with a run's patience.
#[derive(Debug, Clone)]
pub struct Iam {
    client: Client,
    patience: Patience,
}

impl Iam {
    /// For one run.
    pub fn new(client: Client, patience: Patience) -> Self {
        Self { client, patience }
    }
}

/// Where in AWS the function is: what ARNs are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: String,
    /// Twelve digits.
    pub id: String,
}

impl Account {
    /// The account that an ARN of IAM names.
    pub fn of_arn(arn: &str) -> Option<Self> {
        match crate::properties::arn(arn).as_slice() {
            ["arn", partition, _, _, id, _] if !id.is_empty() => {
                Some(Self { partition: (*partition).to_owned(), id: (*id).to_owned() })
            }
            _ => None,
        }
    }

    /// The ARN of a policy.
    pub fn policy_arn(&self, path: &str, name: &str) -> String {
        format!("arn:{}:iam::{}:policy{path}{name}", self.partition, self.id)
    }

    /// The ARN of a user.
    pub fn user_arn(&self, path: &str, name: &str) -> String {
        format!("arn:{}:iam::{}:user{path}{name}", self.partition, self.id)
    }
}

fn to_sdk(tags: &[Tag]) -> Vec<types::Tag> {
    // A tag without key or value does not build; ours have both.
    tags.iter().filter_map(|tag| types::Tag::builder().key(&tag.key).value(&tag.value).build().ok()).collect()
}

fn from_sdk(tags: &[types::Tag]) -> Vec<Tag> {
    tags.iter().map(|tag| Tag::new(tag.key(), tag.value())).collect()
}
