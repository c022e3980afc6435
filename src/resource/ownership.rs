//! The ownership tags of the user and its policies, and who owns a resource according to them.

use crate::cloudformation::request::Envelope;
use crate::properties::Spec;
use crate::tag::{LOGICAL_ID, OWNER, SERVER, STACK_ID, Tag, WORKSPACE, get};

/// The ownership tags of one custom resource in one stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnershipTags {
    stack_id: String,
    logical_id: String,
}

/// Who owns a user or policy, according to its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This stack's custom resource: both ownership tags match.
    Ours,
    /// Another stack, or another custom resource of this stack.
    AnotherStack,
    /// Possibly `coiled setup aws`: the user or policy has the tag `owner=coiled`, but no ownership tags.
    Coiled,
    /// Unknown: the user or policy has neither ownership tags nor `owner=coiled`.
    Unmarked,
}

impl OwnershipTags {
    /// The ownership tags for the custom resource that a request names.
    pub fn of(envelope: &Envelope) -> Self {
        Self { stack_id: envelope.stack_id.clone(), logical_id: envelope.logical_resource_id.clone() }
    }

    /// The owner of a user or policy with these tags.
    pub fn owner(&self, tags: &[Tag]) -> Owner {
        match get(tags, STACK_ID) {
            Some(stack) if stack == self.stack_id && get(tags, LOGICAL_ID) == Some(&self.logical_id) => Owner::Ours,
            // A person removed one of the two tags.
            Some(stack) if stack == self.stack_id && get(tags, LOGICAL_ID).is_none() => Owner::Unmarked,
            Some(_) => Owner::AnotherStack,
            None if get(tags, OWNER) == Some("coiled") => Owner::Coiled,
            None => Owner::Unmarked,
        }
    }

    /// The ownership tags as arguments of an AWS CLI command, for a person who has to restore them.
    pub(crate) fn as_arguments(&self) -> String {
        format!("Key={STACK_ID},Value={} Key={LOGICAL_ID},Value={}", self.stack_id, self.logical_id)
    }

    /// The tags of a policy: the ownership tags and the stack tags.
    pub(crate) fn for_policy(&self, spec: &Spec) -> Vec<Tag> {
        let ownership =
            [Tag::new(OWNER, "coiled"), Tag::new(STACK_ID, &self.stack_id), Tag::new(LOGICAL_ID, &self.logical_id)];
        // IAM ignores case in a user's tag keys, so it rejects `Owner` together with `owner`. The stack tag takes
        // precedence.
        let mut tags: Vec<Tag> = ownership.into_iter().filter(|tag| get(&spec.tags, &tag.key).is_none()).collect();
        tags.extend(spec.tags.iter().cloned());
        tags
    }

    /// The tags of the user: those of a policy, the server and, if known, the workspace.
    pub(crate) fn for_user(&self, spec: &Spec, workspace: Option<&str>) -> Vec<Tag> {
        let mut tags = self.for_policy(spec);
        tags.push(Tag::new(SERVER, spec.server.to_string()));
        tags.extend(workspace.map(|slug| Tag::new(WORKSPACE, slug)));
        tags
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ownership() -> OwnershipTags {
        OwnershipTags::of(&Envelope::read(&json!({"StackId": "s", "LogicalResourceId": "C"})))
    }

    #[test]
    fn a_resource_is_ours_only_if_both_ownership_tags_match() {
        let stack = Tag::new(STACK_ID, "s");
        assert_eq!(ownership().owner(&[stack.clone(), Tag::new(LOGICAL_ID, "C")]), Owner::Ours);
        assert_eq!(ownership().owner(&[stack.clone(), Tag::new(LOGICAL_ID, "D")]), Owner::AnotherStack);
        assert_eq!(ownership().owner(&[stack]), Owner::Unmarked);
        assert_eq!(ownership().owner(&[Tag::new(STACK_ID, "other")]), Owner::AnotherStack);
        assert_eq!(ownership().owner(&[Tag::new("Owner", "coiled")]), Owner::Coiled);
        assert_eq!(ownership().owner(&[Tag::new("owner", "me")]), Owner::Unmarked);
    }
}
