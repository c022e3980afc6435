//! The record of a registration in the user's tags, and whether Coiled still shows that registration.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::coiled::connection::Shown;
use crate::coiled::message::data;
use crate::properties::Spec;
use crate::properties::registry::Registry;
use crate::redact::hex;
use crate::tag::{ACCESS_KEY_ID, PENDING, PENDING_REGION, REGISTERED, Tag, get};

/// The content of the tag `coiled-stack:registered`: two digests that identify a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// The digest of the properties in the message and of `RotateKey`. It does not include secrets.
    pub wanted: String,
    /// The digest of [`Shown`] when the registration was read back.
    pub shown: String,
}

impl Digests {
    /// The digest of what a spec registers. A property change leads to a new key only if it changes this digest.
    pub fn wanted(spec: &Spec) -> String {
        let hub_secret = match &spec.registry {
            Registry::DockerHub(hub) => Some(&hub.token_secret),
            Registry::Ecr => None,
        };
        let registered = data(spec, "", "");
        hex(&Sha256::digest(json!([registered, hub_secret, spec.rotate_key]).to_string()))
    }

    /// The digests of a registration that was read back.
    pub(crate) fn new(spec: &Spec, shown: &Shown) -> Self {
        Self { wanted: Self::wanted(spec), shown: shown.digest() }
    }

    /// The digests of a registration that is known only from Coiled's response. They do not match any spec.
    pub(crate) fn of_unknown(shown: &Shown) -> Self {
        Self { wanted: "unknown".into(), shown: shown.digest() }
    }

    /// The tag's value. It has 132 of the 256 characters that IAM allows.
    pub fn tag_value(&self) -> String {
        format!("v1:{}:{}", self.wanted, self.shown)
    }

    /// Reads the tag's value. `None` if it is malformed.
    pub fn read(value: &str) -> Option<Self> {
        let mut parts = value.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("v1"), Some(wanted), Some(shown), None) => {
                Some(Self { wanted: wanted.to_owned(), shown: shown.to_owned() })
            }
            _ => None,
        }
    }
}

/// Whether the connection that Coiled shows belongs to the user with these tags.
///
/// It does if it equals the recorded registration or fits the pending one. Coiled does not show the key, so a stricter
/// check is not possible.
pub fn is_own_registration(tags: &[Tag], shown: &Shown) -> bool {
    is_recorded(tags, shown) || is_pending(tags, shown)
}

/// The key that Coiled holds. `None` unless its response fits exactly one of the recorded and the pending registration.
pub(crate) fn held_key<'a>(tags: &'a [Tag], shown: &Shown) -> Option<&'a str> {
    match (is_recorded(tags, shown), is_pending(tags, shown)) {
        (true, false) => get(tags, ACCESS_KEY_ID),
        (false, true) => get(tags, PENDING),
        // A run that ended between recording its key and releasing its lease.
        (true, true) => get(tags, PENDING).filter(|pending| get(tags, ACCESS_KEY_ID) == Some(pending)),
        (false, false) => None,
    }
}

/// Whether Coiled would show this for a registration with these properties. This check is weaker than a digest, because
/// it cannot distinguish two registrations with the same region and network.
pub(crate) fn would_show(spec: &Spec, shown: &Shown) -> bool {
    let registered = data(spec, "", "");
    let network = registered.pointer("/options/network").cloned().unwrap_or_default();
    shown.is_by_key_in(&spec.region, &network)
}

fn is_recorded(tags: &[Tag], shown: &Shown) -> bool {
    let recorded = get(tags, REGISTERED).and_then(Digests::read);
    recorded.is_some_and(|digests| digests.shown == shown.digest())
}

fn is_pending(tags: &[Tag], shown: &Shown) -> bool {
    let pending = get(tags, PENDING).and(get(tags, PENDING_REGION));
    pending.is_some_and(|region| shown.is_aws_in(region))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(region: &str) -> Shown {
        Shown::new(json!({"backend": "vm", "options": {"provider_name": "aws", "aws_region_name": region}}))
    }

    #[test]
    fn a_pending_registration_is_recognized_by_key_and_region_together() {
        let (key, region) = (Tag::new(PENDING, "AKIA1"), Tag::new(PENDING_REGION, "us-east-2"));
        let both = [key.clone(), region.clone()];
        assert!(is_own_registration(&both, &shown("us-east-2")) && !is_own_registration(&both, &shown("us-east-1")));
        assert_eq!(held_key(&both, &shown("us-east-2")), Some("AKIA1"));
        // A region that an earlier registration left behind does not say anything about the connection.
        for one in [[key], [region]] {
            assert!(!is_own_registration(&one, &shown("us-east-2")), "{one:?}");
            assert_eq!(held_key(&one, &shown("us-east-2")), None, "{one:?}");
        }
    }
    #[test]
    fn a_recorded_registration_is_recognized_by_its_digest() {
        let key = Tag::new(ACCESS_KEY_ID, "AKIA1");
        let digests = Tag::new(REGISTERED, Digests::of_unknown(&shown("us-east-2")).tag_value());
        let pending = |id| [Tag::new(PENDING, id), Tag::new(PENDING_REGION, "us-east-2")];
        let recorded = [key, digests];
        assert!(is_own_registration(&recorded, &shown("us-east-2")));
        assert!(!is_own_registration(&recorded, &shown("us-east-1")));
        assert_eq!(held_key(&recorded, &shown("us-east-2")), Some("AKIA1"));
        assert_eq!(held_key(&recorded, &shown("us-east-1")), None);
        // Coiled's response fits both registrations, so it tells the key only if both have the same.
        for (id, held) in [("AKIA1", Some("AKIA1")), ("AKIA2", None)] {
            let tags = [recorded.as_slice(), &pending(id)].concat();
            assert_eq!(held_key(&tags, &shown("us-east-2")), held, "{id}");
        }
    }
}
