//! Restores an adopted user and its policies to their state before the adoption. Delete does this if this stack never
//! registered a key.

use crate::aws::code;
use crate::aws::iam::Account;
use crate::aws::iam::document::Kind;
use crate::aws::iam::keys::Key;
use crate::aws::iam::policy::Policy;
use crate::aws::iam::retag::back_to;
use crate::aws::iam::user::User;
use crate::delete::find::Owned;
use crate::error::Error;
use crate::properties::names::UserName;
use crate::properties::tags;
use crate::resource::adopted::{Adopted, AdoptedPolicy};
use crate::resource::context::Context;
use crate::resource::observe::SeenUser;
use crate::resource::ownership::Owner;
use crate::resource::suspects;
use crate::tag::{OWNER, PREFIX, Tag};

/// Restores the user and its policies. The user's ownership tags are removed last, so that another Delete can continue
/// after a failure.
///
/// Stack tags are removed. If the adoption overwrote a tag's earlier value, that value is lost.
///
/// # Errors
/// The first IAM call that failed. The next Delete restores the rest.
pub(crate) async fn restore(context: &Context<'_>, owned: &Owned) -> Result<(), Error> {
    let (Some(seen), Some(was)) = (&owned.user, owned.adopted()) else { return Ok(()) };
    let user = &seen.user;
    let name = user.name.as_str();
    tracing::warn!(arn = %user.arn, "restoring this adopted user, because this stack never registered a key");
    delete_created_keys(context, seen, &was).await?;
    for (kind, arn) in policy_arns(user) {
        match was.policies.get(&kind) {
            Some(policy) => restore_policy(context, name, &arn, policy).await?,
            None => delete_created_policy(context, name, &arn).await?,
        }
    }
    let current = context.iam.known_user(name).await?.tags;
    context.iam.retag_user(name, &back_to(&earlier_tags(context, &current, true), &current)).await
}

/// Deletes the keys that this stack created since the adoption. A person may have created keys since then too.
///
/// No tag names a key whose run was killed right after CreateAccessKey. `seen` is from before this Delete took the
/// lease, so its lease still shows when that run created a key.
async fn delete_created_keys(context: &Context<'_>, seen: &SeenUser, was: &Adopted) -> Result<(), Error> {
    let (iam, name) = (&context.iam, seen.user.name.as_str());
    let listed = iam.keys(name).await?.into_iter().filter(|key| !was.keys.contains(&key.id));
    // IAM may still list a key that was just deleted, and then fails when asked for its last use. So only keys that no
    // tag names are asked about.
    let (created, others): (Vec<Key>, Vec<Key>) =
        listed.partition(|key| was.created.contains(&key.id) || seen.names(&key.id));
    let mut unnamed = SeenUser { keys: others, ..seen.clone() };
    suspects::read_last_uses(iam, &mut unnamed).await?;
    let suspects: Vec<&Key> = unnamed.unused_suspects().collect();
    let others = unnamed.keys.iter().filter(|key| !suspects.contains(key));
    for key in created.iter().chain(suspects.iter().copied()) {
        tracing::info!(access_key_id = key.id, "deleting a key that this stack created");
        iam.delete_key(name, &key.id).await?;
    }
    for key in others {
        tracing::warn!(access_key_id = key.id, "keeping a key that this stack did not create");
    }
    Ok(())
}

fn policy_arns(user: &User) -> Vec<(Kind, String)> {
    let (account, name) = (Account::of_arn(&user.arn), UserName::parse(&user.name));
    let (Some(account), Ok(name)) = (account, name) else { return Vec::new() };
    Kind::ALL.map(|kind| (kind, account.policy_arn(&user.path, &kind.name(&name)))).into()
}

async fn restore_policy(context: &Context<'_>, name: &str, arn: &str, was: &AdoptedPolicy) -> Result<(), Error> {
    let iam = &context.iam;
    let Some(policy) = iam.policy(arn).await? else { return Ok(()) };
    let attached = iam.attached(name).await?.contains(&policy.arn);
    match (was.attached, attached) {
        (true, false) => iam.attach(name, arn).await?,
        (false, true) => iam.detach(name, arn).await?,
        _ => {}
    }
    if context.ownership.owner(&policy.tags) != Owner::Ours {
        return Ok(());
    }
    if policy.version != was.version {
        restore_document(context, &policy, &was.version).await?;
    }
    iam.retag_policy(arn, &back_to(&earlier_tags(context, &policy.tags, was.owned), &policy.tags)).await
}

async fn restore_document(context: &Context<'_>, policy: &Policy, version: &str) -> Result<(), Error> {
    match context.iam.set_default_version(&policy.arn, version).await {
        Err(error) if code(&error) == Some("NoSuchEntity") => {
            tracing::warn!(arn = %policy.arn, version, "the earlier default version was deleted; keeping the current one");
            Ok(())
        }
        Err(error) => Err(error),
        Ok(()) => context.iam.delete_version(&policy.arn, &policy.version).await,
    }
}

/// Deletes a policy that did not exist before the adoption, because the Create must have created it.
async fn delete_created_policy(context: &Context<'_>, name: &str, arn: &str) -> Result<(), Error> {
    let tags = context.iam.policy_tags(arn).await?;
    if !tags.is_some_and(|tags| context.ownership.owner(&tags) == Owner::Ours) {
        return Ok(());
    }
    context.iam.detach(name, arn).await?;
    context.iam.delete_policy(arn).await
}

/// The tags before the adoption: the current ones without ownership, state and stack tags. Values that were overwritten
/// are lost.
fn earlier_tags(context: &Context<'_>, current: &[Tag], owned: bool) -> Vec<Tag> {
    let wanted = tags::keys_leniently(&context.envelope.properties);
    let is_from_stack = |key: &str| {
        key.to_ascii_lowercase().starts_with(PREFIX)
            || key.eq_ignore_ascii_case(OWNER)
            || wanted.iter().any(|other| other == key)
    };
    let earlier = current.iter().filter(|tag| !is_from_stack(&tag.key)).cloned();
    earlier.chain(owned.then(|| Tag::new(OWNER, "coiled"))).collect()
}
