//! What a user and its policies were when they were adopted: a tag on the user until a key of ours is registered, so
//! that the Delete after a failed Create gives them back.

use std::collections::BTreeMap;

use super::document::Kind;
use super::tags::{ACCESS_KEY_ID, ADOPTED, OWNER, get};
use crate::observe::Observed;
use crate::properties::tags::Tag;

/// A user before its adoption. Its tag's value is `keys AKIA1 AKIA2/setup v1 attached owner/ongoing v2 attached`: with
/// two keys 98 of IAM's 256 characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Adopted {
    /// The ids of its keys.
    pub keys: Vec<String>,
    /// Those of the two policies that were there.
    pub policies: BTreeMap<Kind, AdoptedPolicy>,
}

/// A policy before its user's adoption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptedPolicy {
    /// The version that was in force.
    pub version: String,
    /// Whether it was attached to the user.
    pub attached: bool,
    /// Whether it had the tag `owner=coiled`.
    pub owned: bool,
}

impl Adopted {
    /// What is there now.
    pub fn of(observed: &Observed) -> Self {
        let policies = observed.policies.iter().map(|(kind, policy)| {
            let owned = get(&policy.tags, OWNER) == Some("coiled");
            (*kind, AdoptedPolicy { version: policy.version.clone(), attached: observed.is_attached(*kind), owned })
        });
        Self { keys: observed.keys().iter().map(|key| key.id.clone()).collect(), policies: policies.collect() }
    }

    /// The tag.
    pub fn tag(&self) -> Tag {
        let keys = std::iter::once("keys").chain(self.keys.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
        let policies = self.policies.iter().map(|(kind, policy)| {
            let flags = [("attached", policy.attached), ("owner", policy.owned)];
            let flags = flags.into_iter().filter_map(|(name, is)| is.then_some(name));
            [word(*kind), &policy.version].into_iter().chain(flags).collect::<Vec<_>>().join(" ")
        });
        Tag::new(ADOPTED, std::iter::once(keys).chain(policies).collect::<Vec<_>>().join("/"))
    }

    /// Reads the tag of a user of which no key was ever registered; once one is, it is this stack's for good.
    pub fn read(tags: &[Tag]) -> Option<Self> {
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

    fn all_of_it() -> Adopted {
        let policy = |attached, owned| AdoptedPolicy { version: "v12".into(), attached, owned };
        let policies = [(Kind::Setup, policy(true, false)), (Kind::Ongoing, policy(false, true))];
        Adopted { keys: vec!["AKIA1".into(), "AKIA2".into()], policies: policies.into() }
    }

    #[test]
    fn it_survives_its_tag() {
        for adopted in [Adopted::default(), all_of_it()] {
            assert_eq!(Adopted::read(&[adopted.tag()]), Some(adopted));
        }
        assert_eq!(all_of_it().tag().value, "keys AKIA1 AKIA2/setup v12 attached/ongoing v12 owner");
    }

    #[test]
    fn a_registered_key_makes_the_user_this_stacks_for_good() {
        assert_eq!(Adopted::read(&[all_of_it().tag(), Tag::new(ACCESS_KEY_ID, "AKIA3")]), None);
    }

    #[test]
    fn what_nobody_wrote_so_is_nothing() {
        for value in ["", "keys/setup", "keys/role v1", "/"] {
            assert_eq!(Adopted::read(&[Tag::new(ADOPTED, value)]), None, "{value}");
        }
    }
}
