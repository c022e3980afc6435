//! Tags of the user and its policies: their keys, and how a value is found. Apart from the physical ID, tags are the only
//! state that is kept between runs.

/// Coiled's own tag, which Coiled's cleanup tools search for.
pub(crate) const OWNER: &str = "owner";
/// The ID of the stack that owns the resource.
pub(crate) const STACK_ID: &str = "coiled-stack:stack-id";
/// The logical ID of the stack's `Custom::CoiledConnection` that owns the resource.
pub(crate) const LOGICAL_ID: &str = "coiled-stack:logical-id";
/// The Coiled server that the user's key is registered with.
pub(crate) const SERVER: &str = "coiled-stack:server";
/// The slug of the connected workspace. It is resolved only once.
pub(crate) const WORKSPACE: &str = "coiled-stack:workspace";
/// The ID of the active key: the one that Coiled holds.
pub(crate) const ACCESS_KEY_ID: &str = "coiled-stack:access-key-id";
/// The ID of the pending key: its registration was sent, and the outcome is unknown.
pub(crate) const PENDING: &str = "coiled-stack:pending-access-key-id";
/// The region in the pending registration. It identifies that registration in Coiled's response.
pub(crate) const PENDING_REGION: &str = "coiled-stack:pending-region";
/// The [`crate::resource::record::Digests`] of the active key's registration.
pub(crate) const REGISTERED: &str = "coiled-stack:registered";
/// The [`Lease`](crate::resource::lease::Lease): which run is working on the user, and until when.
pub(crate) const LEASE: &str = "coiled-stack:lease";
/// The user's state before adoption. It is kept until the stack has registered a key.
pub(crate) const ADOPTED: &str = "coiled-stack:adopted";
/// The prefix of all these tags except [`OWNER`].
pub(crate) const PREFIX: &str = "coiled-stack:";
/// Set to `true` by a person to make Delete continue even if Coiled asks for confirmation or does not respond.
pub(crate) const FORCE_DISCONNECT: &str = "coiled-stack:force-disconnect";

/// One tag of an IAM resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    /// The key. For users, IAM ignores its case.
    pub key: String,
    /// The value, which may be empty.
    pub value: String,
}

impl Tag {
    /// Creates a tag without validating it. [`tags`](crate::properties::tags::tags) validates tags.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// The value of a tag. Ignores the case of the key, as IAM does for users.
pub(crate) fn get<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key.eq_ignore_ascii_case(key)).map(|tag| tag.value.as_str())
}
