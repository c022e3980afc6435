//! The `PhysicalResourceId`. It never changes during the life of a stack.
//!
//! CloudFormation stores the ID and sends it with every Update and Delete. Nobody can change it with `iam:TagUser`. So
//! the ID also stores the one fact that a request does not contain elsewhere: which workspace was the token's default
//! when a stack without the property `Workspace` was created.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// A physical ID of this resource: `coiled-connection-<32 hex digits>`, optionally followed by `/<workspace>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhysicalId {
    plain: String,
    workspace: Option<String>,
}

/// Everything except letters, digits and `-._~` is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl PhysicalId {
    /// CloudFormation's limit.
    const LIMIT: usize = 1024;

    /// The ID without a workspace.
    ///
    /// If an Update returns another ID, CloudFormation deletes the resource with the old one. Using the log stream's
    /// name as the ID has caused such deletions (aws-cdk#13527). A digest keeps the ID short, however long the names
    /// are.
    pub(crate) fn new(stack_id: &str, logical_resource_id: &str) -> Self {
        let mut digest = Sha256::new();
        digest.update(stack_id.as_bytes());
        digest.update([0]);
        digest.update(logical_resource_id.as_bytes());
        let hex = crate::redact::hex(&digest.finalize());
        Self { plain: format!("coiled-connection-{}", hex.get(..32).unwrap_or_default()), workspace: None }
    }

    /// The ID that CloudFormation sent. `None` if it is not an ID of this resource, for example because CloudFormation
    /// generated it for a Create that never responded.
    pub(crate) fn sent(self, text: &str) -> Option<Self> {
        let rest = text.strip_prefix(&self.plain)?;
        let Some(encoded) = rest.strip_prefix('/') else { return rest.is_empty().then_some(self) };
        let workspace = percent_decode_str(encoded).decode_utf8().ok()?.into_owned();
        let id = self.in_workspace(&workspace);
        (id.workspace.is_some() && id.to_string() == text).then_some(id)
    }

    /// The ID with a workspace. A slug that is too long for the ID is left out.
    pub(crate) fn in_workspace(self, slug: &str) -> Self {
        let id = Self { workspace: Some(slug.to_owned()).filter(|slug| !slug.is_empty()), ..self };
        if id.to_string().len() > Self::LIMIT { Self { workspace: None, ..id } } else { id }
    }

    /// The workspace that the token had as its default when the stack was created.
    pub(crate) fn workspace(&self) -> Option<&str> {
        self.workspace.as_deref()
    }

    /// The part that depends only on the stack and the resource.
    pub(crate) fn plain(&self) -> &str {
        &self.plain
    }
}

impl fmt::Display for PhysicalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plain)?;
        match &self.workspace {
            Some(slug) => write!(f, "/{}", utf8_percent_encode(slug, ENCODED)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> PhysicalId {
        PhysicalId::new("stack", "Connection")
    }

    #[test]
    fn the_id_depends_only_on_stack_logical_id_and_workspace() {
        assert_eq!(id().to_string(), PhysicalId::new("stack", "Connection").to_string());
        assert_ne!(id().to_string(), PhysicalId::new("stack", "Other").to_string());
        assert_ne!(id().to_string(), PhysicalId::new("stackC", "onnection").to_string());
        assert_eq!(id().in_workspace("ada").to_string(), format!("{}/ada", id()));
    }

    #[test]
    fn an_id_is_read_back_unchanged_whatever_the_slug_is() {
        for slug in ["ada", "a/b", "Ada's team", "100%", "größe", "..", "~"] {
            let text = id().in_workspace(slug).to_string();
            assert!(text.is_ascii() && !text.contains(' '), "{text}");
            assert_eq!(id().sent(&text).as_ref().and_then(PhysicalId::workspace), Some(slug));
        }
        assert_eq!(id().sent(&id().to_string()), Some(id()));
    }

    #[test]
    fn the_id_of_another_resource_is_not_accepted() {
        let other = PhysicalId::new("stack", "Other").in_workspace("ada").to_string();
        let broken = ["/", "x", "/%", "/%ff", "/a b", "/%61da"].map(|rest| format!("{}{rest}", id()));
        for text in broken.iter().map(String::as_str).chain(["", "whatever", "2025/11/25/[$LATEST]abc", &other]) {
            assert_eq!(id().sent(text), None, "{text}");
        }
    }

    #[test]
    fn an_id_is_never_longer_than_cloudformation_allows() {
        let longest = "w".repeat(PhysicalId::LIMIT - id().to_string().len() - 1);
        assert_eq!(id().in_workspace(&longest).workspace(), Some(longest.as_str()));
        assert_eq!(id().in_workspace(&format!("{longest}w")).workspace(), None);
        let long = id().in_workspace(&"ü".repeat(200));
        assert_eq!((long.workspace(), long.to_string()), (None, id().to_string()));
    }
}
