//! The ownership tags and state tags on the user and its policies. Apart from the physical ID, they are the only state
//! that is kept between runs.

use std::time::SystemTime;

use super::creation::Creation;
use crate::cloudformation::request::Envelope;
use crate::deadline::unix;
use crate::properties::Spec;
use crate::properties::tags::Tag;

/// Coiled's own tag, which Coiled's cleanup tools search for.
pub const OWNER: &str = "owner";
/// The ID of the stack that owns the resource.
pub const STACK_ID: &str = "coiled-stack:stack-id";
/// The logical ID of the stack's `Custom::CoiledConnection` that owns the resource.
pub const LOGICAL_ID: &str = "coiled-stack:logical-id";
/// The Coiled server that the user's key is registered with.
pub const SERVER: &str = "coiled-stack:server";
/// The slug of the connected workspace. It is resolved only once.
pub const WORKSPACE: &str = "coiled-stack:workspace";
/// The ID of the active key: the one that Coiled holds.
pub const ACCESS_KEY_ID: &str = "coiled-stack:access-key-id";
/// The ID of the pending key: its registration was sent, and the outcome is unknown.
pub const PENDING: &str = "coiled-stack:pending-access-key-id";
/// The region in the pending registration. It identifies that registration in Coiled's response.
pub const PENDING_REGION: &str = "coiled-stack:pending-region";
/// The [`crate::coiled::registration::Digests`] of the active key's registration.
pub const REGISTERED: &str = "coiled-stack:registered";
/// The [`Lease`]: which run is working on the user, and until when.
pub const LEASE: &str = "coiled-stack:lease";
/// The last part of the lease tag if the run is a Delete. Otherwise it is the [`Creation`], if there is one.
const DELETES: &str = "Delete";
/// The user's state before adoption. It is kept until the stack has registered a key.
pub const ADOPTED: &str = "coiled-stack:adopted";
/// The prefix of all these tags except [`OWNER`].
pub const PREFIX: &str = "coiled-stack:";
/// Set to `true` by a person to make Delete continue even if Coiled asks for confirmation or does not respond.
pub const FORCE_DISCONNECT: &str = "coiled-stack:force-disconnect";

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
    pub fn as_arguments(&self) -> String {
        format!("Key={STACK_ID},Value={} Key={LOGICAL_ID},Value={}", self.stack_id, self.logical_id)
    }

    /// The tags of a policy: the ownership tags and the stack tags.
    pub fn for_policy(&self, spec: &Spec) -> Vec<Tag> {
        let ownership =
            [Tag::new(OWNER, "coiled"), Tag::new(STACK_ID, &self.stack_id), Tag::new(LOGICAL_ID, &self.logical_id)];
        // IAM ignores case in a user's tag keys, so it rejects `Owner` together with `owner`. The stack tag takes
        // precedence.
        let mut tags: Vec<Tag> = ownership.into_iter().filter(|tag| get(&spec.tags, &tag.key).is_none()).collect();
        tags.extend(spec.tags.iter().cloned());
        tags
    }

    /// The tags of the user: those of a policy, the server and, if known, the workspace.
    pub fn for_user(&self, spec: &Spec, workspace: Option<&str>) -> Vec<Tag> {
        let mut tags = self.for_policy(spec);
        tags.push(Tag::new(SERVER, spec.server.to_string()));
        tags.extend(workspace.map(|slug| Tag::new(WORKSPACE, slug)));
        tags
    }
}

/// The value of a tag. Ignores the case of the key, as IAM does for users.
pub fn get<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key.eq_ignore_ascii_case(key)).map(|tag| tag.value.as_str())
}

/// A lease on the user, held by one run (an invocation for one request) until its deadline.
///
/// IAM tags do not support compare-and-set. [`crate::reconcile::apply`] shows how a run acquires a lease without it, and
/// `docs/guarantees.md` describes the remaining race.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    request_id: String,
    /// Distinguishes two deliveries of the same request.
    run: u128,
    /// When the lease ends, in Unix seconds. This is in the past if the run ended and left something for the next run
    /// to clean up.
    until: u64,
    /// Whether the run is a Delete.
    deletes: bool,
    /// When the run creates a key, if it does.
    creation: Option<Creation>,
}

impl Lease {
    /// The longest lease in seconds: Lambda's longest timeout of 15 minutes, plus 1 minute for clock differences.
    const LONGEST: u64 = 16 * 60;

    /// A lease for this run. `until` is in Unix seconds.
    pub fn new(request_id: &str, until: u64, deletes: bool) -> Self {
        let run = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        // A tag's value may have 256 characters from a limited set. A real RequestId has 36 characters and is not
        // changed.
        let request_id = request_id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
        Self { request_id, run, until, deletes, creation: None }
    }

    /// The same lease, with the time at which the run creates a key.
    pub fn with(&self, creation: Option<Creation>) -> Self {
        Self { creation, ..self.clone() }
    }

    /// When the run creates a key. `None` if it creates none.
    pub fn creation(&self) -> Option<&Creation> {
        self.creation.as_ref()
    }

    /// Reads the tag. `None` if it is missing or malformed.
    pub fn read(tags: &[Tag]) -> Option<Self> {
        let mut parts = get(tags, LEASE)?.split('/');
        let (request_id, run, until) = (parts.next()?, parts.next()?, parts.next()?);
        let last = parts.next();
        let (deletes, creation) = (last == Some(DELETES), last.and_then(Creation::read));
        let (request_id, run, until) = (request_id.to_owned(), run.parse().ok()?, until.parse().ok()?);
        Some(Self { request_id, run, until, deletes, creation })
    }

    /// Encodes the lease as its tag.
    pub fn tag(&self) -> Tag {
        let creation = self.creation.as_ref().map(Creation::encode);
        let last = self.deletes.then(|| DELETES.to_owned()).or(creation).map(|last| format!("/{last}"));
        Tag::new(LEASE, format!("{}/{}/{}{}", self.request_id, self.run, self.until, last.unwrap_or_default()))
    }

    /// The same lease, marked as expired. The next run does not wait for it, and knows that there may be something to
    /// clean up.
    pub fn ended(&self) -> Self {
        Self { until: self.until.min(unix(SystemTime::now())), ..self.clone() }
    }

    /// Whether the run may still be working.
    ///
    /// A Lambda invocation takes at most 15 minutes. A lease that ends later than that was not written by a run, so it
    /// is ignored.
    pub fn is_live(&self) -> bool {
        let now = unix(SystemTime::now());
        (now + 1..=now + Self::LONGEST).contains(&self.until)
    }

    /// Whether the run is a Delete.
    pub fn deletes(&self) -> bool {
        self.deletes
    }

    /// Whether both leases belong to the same run. They may end at different times.
    pub fn is_same_run(&self, other: &Lease) -> bool {
        self.request_id == other.request_id && self.run == other.run
    }

    /// The request and the end of the lease, for logs and error texts.
    pub fn describe(&self) -> String {
        if self.is_live() {
            return format!("request {}, whose lease ends at Unix time {}", self.request_id, self.until);
        }
        format!("request {}, whose lease has expired", self.request_id)
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

    #[test]
    fn a_lease_survives_a_round_trip_through_its_tag() {
        for deletes in [false, true] {
            let lease = Lease::new("aaaa-bbbb", unix(SystemTime::now()) + 60, deletes);
            let read = Lease::read(&[lease.tag()]);
            assert!(lease.is_live() && read.as_ref() == Some(&lease) && lease.deletes() == deletes);
            assert!(!lease.ended().is_live() && lease.ended().is_same_run(&lease));
            assert!(!lease.is_same_run(&Lease::new("aaaa-bbbb", 0, deletes)));
        }
    }

    #[test]
    fn a_lease_says_when_its_run_creates_a_key() {
        let lease = |value: &str| Lease::read(&[Tag::new(LEASE, value)]).unwrap();
        let full = "r/1000000000000/1060/keys 1000 1010 AKIA1";
        assert_eq!(lease(full).tag().value, full);
        assert_eq!(lease(full).ended().creation(), Creation::read("keys 1000 1010 AKIA1").as_ref());
        assert_eq!(lease("r/1000000000000/1060").creation(), None, "an Update may create no key");
        assert_eq!(lease("r/1000000000000/1060/Delete").creation(), None, "a Delete creates nothing");
    }

    #[test]
    fn malformed_lease_tags_are_ignored() {
        for value in ["", "a", "a/b/c", "a/1/", "a/1/-2"] {
            assert_eq!(Lease::read(&[Tag::new(LEASE, value)]), None, "{value}");
        }
    }
}
