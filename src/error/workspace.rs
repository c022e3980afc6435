//! The failure of a request whose workspace is not the one in the user's tag.

use std::fmt;

use crate::tag::WORKSPACE;

/// Where the name of a request's workspace comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// The property `Workspace`.
    Property,
    /// The `PhysicalResourceId`: the stack was created without the property.
    PhysicalId,
    /// The token's default workspace.
    Token,
}

impl fmt::Display for NamedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Property => "from the property Workspace",
            Self::PhysicalId => "from the PhysicalResourceId that was set when the stack was created",
            Self::Token => "the token's default workspace",
        })
    }
}

/// The user's tag and the stack name different workspaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherWorkspace {
    /// The IAM user.
    pub user: String,
    /// The slug that the stack names.
    pub slug: String,
    /// Where that slug comes from.
    pub by: NamedBy,
    /// The slug in the tag.
    pub tagged: String,
}

impl fmt::Display for OtherWorkspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, slug, by, tagged } = self;
        write!(f, "the workspace is {slug} ({by}), but the tag {WORKSPACE} of user {user} names {tagged}")
    }
}

impl OtherWorkspace {
    /// What to do about it.
    ///
    /// If neither the property nor the physical ID names a workspace, the token's default workspace may have changed
    /// since the stack was created. Otherwise only the tag can be wrong.
    pub(crate) fn fix(&self) -> String {
        let Self { user, slug, by, tagged } = self;
        let set = format!("aws iam tag-user --user-name {user} --tags Key={WORKSPACE},Value={slug}");
        match by {
            NamedBy::Token => format!(
                "Nothing was changed. If the stack's key is registered in {tagged}, set Workspace to {tagged}. If not, \
                 correct the tag ({set}). Then deploy again."
            ),
            NamedBy::Property | NamedBy::PhysicalId => {
                format!("Nothing was changed. Someone has changed the tag. Correct it ({set}), then deploy again.")
            }
        }
    }
}
