//! Recognizes the stack's own resources after a person deleted its user or removed tags.
//!
//! Only an Update does this, because an Update proves that the stack was created. CloudFormation rolls an Update back
//! with another Update. If that one failed, the stack would end in UPDATE_ROLLBACK_FAILED.

use crate::aws::iam::Account;
use crate::aws::iam::document::{Kind, same};
use crate::aws::iam::policy::Policy;
use crate::cloudformation::request::RequestType;
use crate::coiled::connection::Shown;
use crate::error::Error;
use crate::properties::Spec;
use crate::resource::context::Context;
use crate::resource::observe::{self, Observed, SeenUser};
use crate::resource::ownership::Owner;
use crate::resource::record::{Digests, would_show};
use crate::tag::{REGISTERED, get};

/// Treats a user without ownership tags as the stack's own if one of the stack's policies is attached to it.
///
/// # Errors
/// The error from reading the policies.
pub(crate) async fn reclaim(context: &Context<'_>, spec: &Spec, seen: SeenUser) -> Result<SeenUser, Error> {
    let is_unmarked = matches!(seen.owner, Owner::Unmarked | Owner::Coiled);
    let is_named = seen.user.name == spec.user.as_str() && seen.user.path == spec.path.as_str();
    let Some(account) = Account::of_arn(&seen.user.arn).filter(|_| is_unmarked && is_named) else {
        return Ok(seen);
    };
    let policies = observe::policies(&context.iam, &account, spec.path.as_str(), &spec.user).await?;
    let is_ours = |policy: &Policy| context.ownership.owner(&policy.tags) == Owner::Ours;
    if policies.values().any(|policy| is_ours(policy) && seen.attached.contains(&policy.arn)) {
        tracing::warn!(arn = %seen.user.arn, "the user has lost its ownership tags; the stack's policy identifies it");
        return Ok(SeenUser { owner: Owner::Ours, ..seen });
    }
    Ok(seen)
}

/// Whether a policy without ownership tags is the stack's own: it is attached to the stack's user and has the document
/// that the stack gave it.
pub(crate) fn is_own_policy(context: &Context<'_>, observed: &Observed, kind: Kind, policy: &Policy) -> bool {
    is_update(context)
        && observed.owned().is_some()
        && observed.is_attached(kind)
        && same(&policy.document, kind.document())
}

/// Whether this stack registered a connection that no tag describes. It did if Coiled shows what the old or the new
/// properties of the Update register.
///
/// Coiled never says which key it holds. So someone else's newer connection with the same region and network looks the
/// same: see `docs/guarantees.md`.
pub(crate) fn is_own_connection(context: &Context<'_>, spec: &Spec, seen: Option<&SeenUser>, shown: &Shown) -> bool {
    let is_recorded = match seen {
        Some(seen) if seen.owner != Owner::Ours => return false,
        Some(seen) => get(&seen.user.tags, REGISTERED).and_then(Digests::read).is_some(),
        None => false,
    };
    if is_recorded || !is_update(context) {
        return false;
    }
    let old = context.read_spec(context.envelope.old_properties()).ok();
    old.iter().chain([spec]).any(|spec| would_show(spec, shown))
}

fn is_update(context: &Context<'_>) -> bool {
    context.envelope.request_type() == Some(RequestType::Update)
}
