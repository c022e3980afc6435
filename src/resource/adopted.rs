//! The state of a user and its policies before adoption.
//!
//! A tag on the user stores this state until the stack has registered a key. The Delete after a failed Create uses it
//! to restore the user.

use std::collections::BTreeMap;

use crate::aws::iam::document::Kind;
use crate::resource::observe::Observed;
use crate::tag::{ACCESS_KEY_ID, ADOPTED, OWNER, Tag, get};

/// A user before its adoption.
///
/// The tag's value has the form `keys AKIA1 AKIA2/setup v1 attached owner/ongoing v2 attached`. With two real key IDs,
/// it has 98 of the 256 characters that IAM allows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Adopted {
    /// The IDs of the user's access keys.
    pub keys: Vec<String>,
    /// The policies that existed: none, one or both.
    pub policies: BTreeMap<Kind, AdoptedPolicy>,
}

/// A policy before its user's adoption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdoptedPolicy {
    /// The ID of the default version, such as `v1`.
    pub version: String,
    /// Whether it was attached to the user.
    pub attached: bool,
    /// Whether it had the tag `owner=coiled`.
    pub owned: bool,
}

impl Adopted {
    /// Captures the observed state.
    pub(crate) fn of(observed: &Observed) -> Self {
        let policies = observed.policies.iter().map(|(kind, policy)| {
            let owned = get(&policy.tags, OWNER) == Some("coiled");
            (*kind, AdoptedPolicy { version: policy.version.clone(), attached: observed.is_attached(*kind), owned })
        });
        Self { keys: observed.keys().iter().map(|key| key.id.clone()).collect(), policies: policies.collect() }
    }

    /// Encodes the state as the tag `coiled-stack:adopted`.
    pub(crate) fn tag(&self) -> Tag {
        let keys = std::iter::once("keys").chain(self.keys.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
        let policies = self.policies.iter().map(|(kind, policy)| {
            let flags = [("attached", policy.attached), ("owner", policy.owned)];
            let flags = flags.into_iter().filter_map(|(name, set)| set.then_some(name));
            [word(*kind), &policy.version].into_iter().chain(flags).collect::<Vec<_>>().join(" ")
        });
        Tag::new(ADOPTED, std::iter::once(keys).chain(policies).collect::<Vec<_>>().join("/"))
    }

    /// Reads the tag; `None` if it is missing or malformed.
    ///
    /// Also `None` after the stack has registered a key for the user. From then on, the user belongs to the stack, and
    /// Delete deletes it.
    pub(crate) fn read(tags: &[Tag]) -> Option<Self> {
        if get(tags, ACCESS_KEY_ID).is_some() {
            return None;
        }
        let mut adopted = Self::default();
        for part in get(tags, ADOPTED)?.split('/') {
            let words: Vec<&str> = part.split(' ').collect();
            let (first, rest) = words.split_first()?;
            match (Kind::ALL.into_iter().find(|kind| word(*kind) == *first), rest) {
                (Some(kind), [version, flags @ ..]) => {
                    let has = |flag| flags.contains(&flag);
                    let (attached, owned) = (has("attached"), has("owner"));
                    adopted.policies.insert(kind, AdoptedPolicy { version: (*version).to_owned(), attached, owned });
                }
                (None, ids) if *first == "keys" => adopted.keys = ids.iter().map(|id| (*id).to_owned()).collect(),
                _ => return None,
            }
        }
        Some(adopted)
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Setup => "setup",
        Kind::Ongoing => "ongoing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full_state() -> Adopted {
        let policy = |attached, owned| AdoptedPolicy { version: "v12".into(), attached, owned };
        let policies = [(Kind::Setup, policy(true, false)), (Kind::Ongoing, policy(false, true))];
        Adopted { keys: vec!["AKIA1".into(), "AKIA2".into()], policies: policies.into() }
    }

    #[test]
    fn the_state_survives_a_round_trip_through_its_tag() {
        for adopted in [Adopted::default(), full_state()] {
            assert_eq!(Adopted::read(&[adopted.tag()]), Some(adopted));
        }
        assert_eq!(full_state().tag().value, "keys AKIA1 AKIA2/setup v12 attached/ongoing v12 owner");
    }

    #[test]
    fn the_tag_is_ignored_once_a_key_is_registered() {
        assert_eq!(Adopted::read(&[full_state().tag(), Tag::new(ACCESS_KEY_ID, "AKIA3")]), None);
    }

    #[test]
    fn malformed_tags_are_ignored() {
        for value in ["", "keys/setup", "keys/role v1", "/"] {
            assert_eq!(Adopted::read(&[Tag::new(ADOPTED, value)]), None, "{value}");
        }
    }
}
