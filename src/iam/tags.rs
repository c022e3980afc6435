//! The marks on what is ours: the only state that there is.

use std::time::SystemTime;

use crate::deadline::unix;
use crate::properties::Spec;
use crate::properties::tags::Tag;
use crate::request::Envelope;

/// Coiled's own mark, which its clean-up tools look for.
pub const OWNER: &str = "owner";
/// Which stack made it.
pub const STACK_ID: &str = "coiled-stack:stack-id";
/// Which resource of that stack.
pub const LOGICAL_ID: &str = "coiled-stack:logical-id";
/// The control plane that it is registered with.
pub const SERVER: &str = "coiled-stack:server";
/// The workspace's slug, resolved once.
pub const WORKSPACE: &str = "coiled-stack:workspace";
/// The key that Coiled holds.
pub const ACCESS_KEY_ID: &str = "coiled-stack:access-key-id";
/// A key whose registration was sent, while its outcome is unknown.
pub const PENDING: &str = "coiled-stack:pending-access-key-id";
/// The region that this registration names: by it Coiled's answer is recognised as ours.
pub const PENDING_REGION: &str = "coiled-stack:pending-region";
/// The digests of [`crate::coiled::registration::Digests`].
pub const REGISTERED: &str = "coiled-stack:registered";
/// Who works on the user, until when.
pub const LEASE: &str = "coiled-stack:lease";
/// The last part of a Delete's lease.
const DELETES: &str = "Delete";
/// What the user was before it was adopted, while no key of ours has been registered.
pub const ADOPTED: &str = "coiled-stack:adopted";
/// What all but [`OWNER`] begin with.
pub const PREFIX: &str = "coiled-stack:";
/// Set by a person: disconnect whatever Coiled asks or does not answer.
pub const FORCE_DISCONNECT: &str = "coiled-stack:force-disconnect";

/// The marks of one resource of one stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnershipTags {
    stack_id: String,
    logical_id: String,
}

/// Whose something is, by its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// It carries the marks of this stack.
    Ours,
    /// It carries another stack's marks.
    AnotherStack,
    /// `coiled setup aws` may have made it: `owner=coiled`, and no stack's marks.
    Coiled,
    /// Nobody's that we know.
    Unmarked,
}

impl OwnershipTags {
    /// The marks of the resource that a request is about.
    pub fn of(envelope: &Envelope) -> Self {
        Self { stack_id: envelope.stack_id.clone(), logical_id: envelope.logical_resource_id.clone() }
    }

    /// Whose the thing with these tags is.
    pub fn owner(&self, tags: &[Tag]) -> Owner {
        match get(tags, STACK_ID) {
            Some(stack) if stack == self.stack_id && get(tags, LOGICAL_ID) == Some(&self.logical_id) => Owner::Ours,
            Some(_) => Owner::AnotherStack,
            None if get(tags, OWNER) == Some("coiled") => Owner::Coiled,
            None => Owner::Unmarked,
        }
    }

    /// The tags that user and policies carry: the marks, and the user's own.
    pub fn for_policy(&self, spec: &Spec) -> Vec<Tag> {
        let marks =
            [Tag::new(OWNER, "coiled"), Tag::new(STACK_ID, &self.stack_id), Tag::new(LOGICAL_ID, &self.logical_id)];
        // IAM ignores case in tag keys and would refuse `Owner` beside `owner`: the user's own wins.
        let mut tags: Vec<Tag> = marks.into_iter().filter(|mark| get(&spec.tags, &mark.key).is_none()).collect();
        tags.extend(spec.tags.iter().cloned());
        tags
    }

    /// The tags that the user carries: those, and to what it is connected.
    pub fn for_user(&self, spec: &Spec, workspace: Option<&str>) -> Vec<Tag> {
        let mut tags = self.for_policy(spec);
        tags.push(Tag::new(SERVER, spec.server.to_string()));
        tags.extend(workspace.map(|slug| Tag::new(WORKSPACE, slug)));
        tags
    }
}

/// The value of a tag; keys ignore case, as in IAM.
pub fn get<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key.eq_ignore_ascii_case(key)).map(|tag| tag.value.as_str())
}

/// Who works on the user: one invocation of one request, until its deadline.
///
/// Tags know no compare-and-set: how a run takes a lease all the same is in [`crate::apply`], and which window remains in
/// `docs/guarantees.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    request_id: String,
    /// Tells apart two deliveries of one request.
    run: u128,
    /// Unix seconds; 0: the run has ended, and left something for the next one to clean up.
    until: u64,
    /// Whether its run removes everything.
    deletes: bool,
}

impl Lease {
    /// Seconds: the longest timeout of a function, and a minute for clocks that differ.
    const LONGEST: u64 = 16 * 60;

    /// A lease for this run.
    pub fn new(request_id: &str, until: u64, deletes: bool) -> Self {
        let run = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        // A tag's value has at most 256 characters; a real RequestId has 36, all of them allowed in it.
        let request_id = request_id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
        Self { request_id, run, until, deletes }
    }

    /// Reads a tag; a value that nobody wrote so is no lease.
    pub fn read(tags: &[Tag]) -> Option<Self> {
        let mut parts = get(tags, LEASE)?.split('/');
        let (request_id, run, until) = (parts.next()?, parts.next()?, parts.next()?);
        let deletes = parts.next() == Some(DELETES);
        Some(Self { request_id: request_id.to_owned(), run: run.parse().ok()?, until: until.parse().ok()?, deletes })
    }

    /// The tag.
    pub fn tag(&self) -> Tag {
        let deletes = if self.deletes { format!("/{DELETES}") } else { String::new() };
        Tag::new(LEASE, format!("{}/{}/{}{deletes}", self.request_id, self.run, self.until))
    }

    /// The same lease, ended: the next run need not wait, and knows that something may be left over.
    pub fn ended(&self) -> Self {
        Self { until: 0, ..self.clone() }
    }

    /// Whether its run may still be at work. No run of Lambda's is longer than its 15 minutes, so a lease that says more was
    /// not written by one, and holds nobody up.
    pub fn is_live(&self) -> bool {
        let now = unix(SystemTime::now());
        (now + 1..=now + Self::LONGEST).contains(&self.until)
    }

    /// Whether its run removes everything.
    pub fn deletes(&self) -> bool {
        self.deletes
    }

    /// Whether it is this run's, whatever its end.
    pub fn is_same_run(&self, other: &Lease) -> bool {
        self.request_id == other.request_id && self.run == other.run
    }

    /// For a log line: which request, until when.
    pub fn describe(&self) -> String {
        match self.until {
            0 => format!("request {}, which has ended since", self.request_id),
            until => format!("request {} until {until} (Unix time)", self.request_id),
        }
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
    fn ours_needs_both_marks() {
        let stack = Tag::new(STACK_ID, "s");
        assert_eq!(ownership().owner(&[stack.clone(), Tag::new(LOGICAL_ID, "C")]), Owner::Ours);
        assert_eq!(ownership().owner(&[stack.clone(), Tag::new(LOGICAL_ID, "D")]), Owner::AnotherStack);
        assert_eq!(ownership().owner(&[stack]), Owner::AnotherStack);
        assert_eq!(ownership().owner(&[Tag::new("Owner", "coiled")]), Owner::Coiled);
        assert_eq!(ownership().owner(&[Tag::new("owner", "me")]), Owner::Unmarked);
    }

    #[test]
    fn a_lease_survives_its_tag() {
        for deletes in [false, true] {
            let lease = Lease::new("aaaa-bbbb", unix(SystemTime::now()) + 60, deletes);
            let read = Lease::read(&[lease.tag()]);
            assert!(lease.is_live() && read.as_ref() == Some(&lease) && lease.deletes() == deletes);
            assert!(!lease.ended().is_live() && lease.ended().is_same_run(&lease));
            assert!(!lease.is_same_run(&Lease::new("aaaa-bbbb", 0, deletes)));
        }
    }

    #[test]
    fn what_nobody_wrote_is_no_lease() {
        for value in ["", "a", "a/b/c", "a/1/", "a/1/-2"] {
            assert_eq!(Lease::read(&[Tag::new(LEASE, value)]), None, "{value}");
        }
    }
}
