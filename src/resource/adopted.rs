//! The state of a user and its policies before adoption.
//!
//! A tag on the user stores this state until the stack has registered a key. The Delete after a failed Create uses it
//! to restore the user.

use std::collections::BTreeMap;

use crate::aws::iam::document::Kind;
use crate::aws::iam::keys::Key;
use crate::resource::observe::Observed;
use crate::resource::ownership::Owner;
use crate::tag::{ACCESS_KEY_ID, ADOPTED, OWNER, Tag, get};

/// A user before its adoption.
///
/// The tag's value has the form `keys AKIA1/created AKIA2/setup v1 attached owner/ongoing v2 attached`. With four real
/// key IDs, it has 148 of the 256 characters that IAM allows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Adopted {
    /// The IDs of the access keys that the user had.
    pub keys: Vec<String>,
    /// The IDs of the access keys that this stack has created since and may have sent to Coiled. A restored user does
    /// not keep them. The tag of the pending key names only the latest one, and is removed if Coiled rejects that key.
    pub created: Vec<String>,
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
        let keys = observed.keys().iter().map(|key| key.id.clone()).collect();
        Self { keys, created: Vec::new(), policies: policies.collect() }
    }

    /// The state before the adoption that an earlier run began, or that this run begins. `None` if the stack created the
    /// user or has registered a key for it.
    pub(crate) fn before(observed: &Observed) -> Option<Self> {
        let seen = observed.user.as_ref()?;
        if seen.owner == Owner::Ours { Self::read(&seen.user.tags) } else { Some(Self::of(observed)) }
    }

    /// A copy that also names a key that this stack has created. It leaves out those that no longer exist.
    pub(crate) fn with_created(&self, id: &str, existing: &[Key]) -> Self {
        let exists = |created: &&String| existing.iter().any(|key| key.id == **created);
        let created = self.created.iter().filter(exists).cloned().chain([id.to_owned()]).collect();
        Self { created, ..self.clone() }
    }

    /// Encodes the state as the tag `coiled-stack:adopted`.
    pub(crate) fn tag(&self) -> Tag {
        let list = |word: &str, ids: &[String]| [&[word.to_owned()], ids].concat().join(" ");
        let created = (!self.created.is_empty()).then(|| list("created", &self.created));
        let policies = self.policies.iter().map(|(kind, policy)| {
            let flags = [("attached", policy.attached), ("owner", policy.owned)];
            let flags = flags.into_iter().filter_map(|(name, set)| set.then_some(name));
            [word(*kind), &policy.version].into_iter().chain(flags).collect::<Vec<_>>().join(" ")
        });
        let parts = [list("keys", &self.keys)].into_iter().chain(created).chain(policies);
        Tag::new(ADOPTED, parts.collect::<Vec<_>>().join("/"))
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
                (None, ids) if *first == "created" => adopted.created = ids.iter().map(|id| (*id).to_owned()).collect(),
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
    use crate::aws::iam::keys::LastUse;

    fn full_state() -> Adopted {
        let policy = |attached, owned| AdoptedPolicy { version: "v12".into(), attached, owned };
        let policies = [(Kind::Setup, policy(true, false)), (Kind::Ongoing, policy(false, true))];
        Adopted { keys: vec!["AKIA1".into()], created: vec!["AKIA2".into()], policies: policies.into() }
    }

    #[test]
    fn the_state_survives_a_round_trip_through_its_tag() {
        for adopted in [Adopted::default(), full_state()] {
            assert_eq!(Adopted::read(&[adopted.tag()]), Some(adopted));
        }
        assert_eq!(full_state().tag().value, "keys AKIA1/created AKIA2/setup v12 attached/ongoing v12 owner");
    }

    #[test]
    fn the_tag_is_ignored_once_a_key_is_registered() {
        assert_eq!(Adopted::read(&[full_state().tag(), Tag::new(ACCESS_KEY_ID, "AKIA3")]), None);
    }

    #[test]
    fn a_created_key_is_added_and_one_that_no_longer_exists_is_left_out() {
        let key = Key { id: "AKIA2".into(), active: true, created: None, last_use: LastUse::Unknown };
        assert_eq!(full_state().with_created("AKIA3", &[key]).created, ["AKIA2", "AKIA3"]);
        assert_eq!(full_state().with_created("AKIA3", &[]).created, ["AKIA3"]);
    }

    #[test]
    fn malformed_tags_are_ignored() {
        for value in ["", "keys/setup", "keys/role v1", "/"] {
            assert_eq!(Adopted::read(&[Tag::new(ADOPTED, value)]), None, "{value}");
        }
    }
}
