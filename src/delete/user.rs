//! Deletes the user and its contents. IAM deletes only an empty user.

use crate::aws::code;
use crate::error::Error;
use crate::properties::names::UserName;
use crate::resource::context::Context;

/// Logs the user's contents before it deletes them, because a person may have added some.
pub(super) async fn delete_contents(context: &Context<'_>, name: &UserName) -> Result<(), Error> {
    let items = context.iam.contents(name.as_str()).await;
    let list = items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    tracing::info!(user = %name, items = list, "deleting the user's contents");
    context.iam.remove_all(name.as_str(), &items).await
}

/// Deletes the user. If IAM reports that the user is not empty, its contents are listed and deleted once more. The
/// first list may have been stale, or a person may have added something since. The second deletion of the user is
/// retried, because IAM may still see deleted contents.
pub(super) async fn delete(context: &Context<'_>, name: &UserName) -> Result<(), Error> {
    let (iam, user) = (&context.iam, name.as_str());
    match iam.delete_user_at_once(user).await {
        Err(conflict) if is_conflict(&conflict) => {
            tracing::warn!(%conflict, user, "the user is not empty; looking for its contents again");
        }
        other => return other,
    }
    delete_contents(context, name).await?;
    // Retrying does not help if the user is in a group.
    let groups = groups(context, name).await?;
    let result = if groups.is_empty() { iam.delete_user(user).await } else { iam.delete_user_at_once(user).await };
    match result {
        Err(conflict) if is_conflict(&conflict) => {
            let items = iam.contents(user).await;
            let items = items.iter().map(|item| format!("user {user} has {item}"));
            Err(naming(conflict, &groups.into_iter().chain(items).collect::<Vec<_>>()))
        }
        other => other,
    }
}

/// The user's groups, each with the command that removes the user from the group. The function's role does not have
/// permission to remove it.
pub(super) async fn groups(context: &Context<'_>, name: &UserName) -> Result<Vec<String>, Error> {
    let command = |group: &String| format!("aws iam remove-user-from-group --user-name {name} --group-name {group}");
    let groups = context.iam.groups(name.as_str()).await?;
    Ok(groups.iter().map(|group| format!("user {name} is in group {group}: {}", command(group))).collect())
}

fn is_conflict(error: &Error) -> bool {
    code(error) == Some("DeleteConflict")
}

/// Adds the blockers to IAM's message, which names only one kind of item at a time, and some kinds only as "referenced
/// objects".
fn naming(conflict: Error, blockers: &[String]) -> Error {
    match conflict {
        Error::Aws { call, code, message, trouble, may_have_worked } if !blockers.is_empty() => {
            let message = format!("{message} {}", blockers.join("; ")).into();
            Error::Aws { call, code, message, trouble, may_have_worked }
        }
        other => other,
    }
}
