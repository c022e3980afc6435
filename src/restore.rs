//! Giving back what a Create adopted, before any key of ours was registered: a Delete makes it what it was.

use crate::aws::code;
use crate::context::Context;
use crate::error::Error;
use crate::iam::Account;
use crate::iam::adopted::{Adopted, AdoptedPolicy};
use crate::iam::document::Kind;
use crate::iam::policy::Policy;
use crate::iam::retag::back_to;
use crate::iam::tags::{OWNER, Owner, PREFIX};
use crate::iam::user::User;
use crate::properties::names::UserName;
use crate::properties::tags::{self, Tag};

/// Makes the user and its policies what they were. The marks on the user go last: until then another Delete can go on
/// with this.
///
/// A tag that `Tags` names is removed; the value that it may have had before its adoption is not known.
///
/// # Errors
/// What IAM says; the rest has been given back by then, or is by another Delete.
pub async fn restore(context: &Context<'_>, user: &User, was: &Adopted) -> Result<(), Error> {
    let name = user.name.as_str();
    tracing::warn!(arn = %user.arn, "it was adopted, and no key of ours was ever registered: it stays, as it was before");
    for key in context.iam.keys(name).await?.into_iter().filter(|key| !was.keys.contains(&key.id)) {
        context.iam.delete_key(name, &key.id).await?;
    }
    for (kind, arn) in policies(user) {
        match was.policies.get(&kind) {
            Some(policy) => restore_policy(context, name, &arn, policy).await?,
            None => remove_policy(context, name, &arn).await?,
        }
    }
    let there = context.iam.known_user(name).await?.tags;
    context.iam.retag_user(name, &back_to(&without_ours(context, &there, true), &there)).await
}

fn policies(user: &User) -> Vec<(Kind, String)> {
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
    iam.retag_policy(arn, &back_to(&without_ours(context, &policy.tags, was.owned), &policy.tags)).await
}

async fn restore_document(context: &Context<'_>, policy: &Policy, version: &str) -> Result<(), Error> {
    match context.iam.set_default_version(&policy.arn, version).await {
        Err(error) if code(&error) == Some("NoSuchEntity") => {
            tracing::warn!(arn = %policy.arn, version, "a person has removed the version that was in force; the present one stays");
            Ok(())
        }
        Err(error) => Err(error),
        Ok(()) => context.iam.delete_version(&policy.arn, &policy.version).await,
    }
}

/// One that was not there before is the Create's own.
async fn remove_policy(context: &Context<'_>, name: &str, arn: &str) -> Result<(), Error> {
    let tags = context.iam.policy_tags(arn).await?;
    if !tags.is_some_and(|tags| context.ownership.owner(&tags) == Owner::Ours) {
        return Ok(());
    }
    context.iam.detach(name, arn).await?;
    context.iam.delete_policy(arn).await
}

/// Tags as they were, as far as that is known.
fn without_ours(context: &Context<'_>, there: &[Tag], owned: bool) -> Vec<Tag> {
    let wanted = tags::keys_leniently(&context.envelope.properties);
    let is_ours = |key: &str| {
        key.to_ascii_lowercase().starts_with(PREFIX)
            || key.eq_ignore_ascii_case(OWNER)
            || wanted.iter().any(|other| other == key)
    };
    let theirs = there.iter().filter(|tag| !is_ours(&tag.key)).cloned();
    theirs.chain(owned.then(|| Tag::new(OWNER, "coiled"))).collect()
}
