//! Suspects: access keys that no tag names and that an earlier run of this stack may have created.

use super::adopted::Adopted;
use super::lease::Lease;
use super::observe::SeenUser;
use crate::aws::iam::Iam;
use crate::aws::iam::keys::{Key, LastUse};
use crate::error::Error;

impl SeenUser {
    /// Whether the tags explain a key: they name it, or the user had it before its adoption.
    pub(crate) fn explains(&self) -> impl Fn(&Key) -> bool {
        let adopted = Adopted::read(&self.user.tags).unwrap_or_default();
        move |key| self.names(&key.id) || adopted.keys.contains(&key.id)
    }

    /// The keys that no tag explains and that were created during the time that the last lease gives for CreateAccessKey.
    /// [`read_last_uses`] adds what IAM knows about their use.
    pub(crate) fn suspects(&self) -> impl Iterator<Item = &Key> {
        let (is_explained, key_time) = (self.explains(), self.lease.as_ref().and_then(Lease::key_time));
        self.keys.iter().filter(move |key| !is_explained(key) && key_time.is_some_and(|key_time| key_time.covers(key)))
    }

    /// The suspects that no service but STS has seen. A person or Coiled uses a key with other services.
    pub(crate) fn unused_suspects(&self) -> impl Iterator<Item = &Key> {
        self.suspects().filter(|key| key.last_use == LastUse::Unused)
    }
}

/// Reads the last use of the user's [`suspects`](SeenUser::suspects): keys that an earlier run may have created.
///
/// # Errors
/// A failed GetAccessKeyLastUsed. Without its response, the key can be neither kept nor deleted for certain.
pub(crate) async fn read_last_uses(iam: &Iam, seen: &mut SeenUser) -> Result<(), Error> {
    let suspects: Vec<String> = seen.suspects().map(|key| key.id.clone()).collect();
    for key in seen.keys.iter_mut().filter(|key| suspects.contains(&key.id)) {
        key.last_use = iam.last_use(&key.id).await?;
        if key.last_use == LastUse::Used {
            tracing::warn!(access_key_id = %key.id, "keeping a key that a killed run may have created, because it is in use");
        }
    }
    Ok(())
}
