//! Manual changes that block the deletion.

use std::collections::BTreeSet;

use crate::aws::iam::holders::Holder;
use crate::delete::find::Owned;
use crate::delete::user;
use crate::error::Error;
use crate::resource::context::Context;

/// Fails before the first deletion if the user is in a group or a policy is attached to another identity, because this
/// function's role does not have permission to change that.
pub(crate) async fn check_blockers(context: &Context<'_>, owned: &Owned) -> Result<(), Error> {
    let name = owned.name.as_str();
    let mut found = match owned.user.is_some() && !owned.keeps_user() {
        true => user::groups(context, &owned.name).await?,
        false => Vec::new(),
    };
    let deleted = if owned.keeps_user() { &[] } else { owned.policies.as_slice() };
    for arn in deleted {
        let holders = context.iam.holders(arn).await?.into_iter().chain(bounds_its_own_user(owned, arn));
        let others = holders.filter(|holder| owned.user.is_none() || !holder.is_user(name) || holder.is_bounded());
        found.extend(others.map(|holder| blocker(context, owned, arn, &holder)));
    }
    // IAM may list an entity twice, and the boundary of the stack's own user comes from two calls.
    let mut listed = BTreeSet::new();
    found.retain(|blocker| listed.insert(blocker.clone()));
    if found.is_empty() { Ok(()) } else { Err(Error::Blocked(found)) }
}

/// Whether a person has set one of the stack's policies as the boundary of the stack's own user. Policies are deleted
/// before the user, and the function's role may lack the permission to delete a boundary.
fn bounds_its_own_user(owned: &Owned, arn: &str) -> Option<Holder> {
    let user = owned.user.as_ref().filter(|seen| seen.user.boundary.as_deref() == Some(arn))?;
    Some(Holder::boundary_of_user(&user.user.name))
}

fn blocker(context: &Context<'_>, owned: &Owned, arn: &str, holder: &Holder) -> String {
    let command = holder.command(arn);
    if owned.user.is_none() && holder.is_user(owned.name.as_str()) {
        let tags = context.ownership.as_arguments();
        return format!(
            "policy {arn} is {holder}, which lacks this stack's ownership tags. To keep the user: {command}. To delete it \
             too: aws iam tag-user --user-name {} --tags {tags}",
            owned.name
        );
    }
    format!("policy {arn} is {holder}: {command}")
}
