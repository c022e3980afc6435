//! Disconnects the workspace if its connection belongs to this stack.

use crate::aws::is_busy;
use crate::coiled::Coiled;
use crate::coiled::connection::{Disconnected, Shown};
use crate::delete::access::{coiled_deadline, server_and_token, workspace};
use crate::delete::find::{Owned, has_record};
use crate::delete::unrecorded;
use crate::error::{Error, Unreadable};
use crate::properties::names::UserName;
use crate::resource::context::Context;
use crate::resource::record::{Digests, is_own_registration, would_show};
use crate::tag::{ACCESS_KEY_ID, FORCE_DISCONNECT, PENDING, REGISTERED, Tag, get};

/// Whether the workspace's connection belonged to this stack before [`disconnect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtCoiled {
    /// This stack never registered a key, or the connection is not its own. Coiled does not hold a key of this stack.
    NotThisStack,
    /// This stack registered a key. Coiled may still hold that key if the workspace could not be disconnected.
    ThisStack,
}

/// Disconnects the workspace if its connection belongs to this stack.
pub(crate) async fn disconnect(context: &Context<'_>, owned: &Owned, tags: &[Tag]) -> Result<AtCoiled, Error> {
    if !has_record(tags) {
        // No key was registered if the Create never responded, or if it only adopted the user.
        match context.envelope.was_answered() && !owned.keeps_user() {
            true => unrecorded::report(context, owned, tags).await,
            false => tracing::info!("no key was ever registered; not calling Coiled"),
        }
        return Ok(AtCoiled::NotThisStack);
    }
    let kept_at_coiled = owned.kept_at_coiled(tags);
    let (server, token) = match server_and_token(context, owned, owned.force).await {
        Ok(found) => found,
        // The next Delete may be able to read the token, so this one fails instead of abandoning the registration.
        Err(error @ Error::Secret { why: Unreadable::Passing(_), .. }) if !owned.force => {
            return Err(with_way_out(error, &owned.name));
        }
        Err(error) => {
            tracing::warn!(%error, kept_at_coiled, "cannot use the token; deleting the key without disconnecting");
            return Ok(AtCoiled::ThisStack);
        }
    };
    let coiled = context.coiled(server, token, coiled_deadline(context, owned.force));
    match disconnect_if_owned(&coiled, owned, tags).await {
        Ok(connection) => Ok(connection),
        Err(error @ (Error::Token { .. } | Error::Workspace(_))) => {
            tracing::warn!(%error, kept_at_coiled, "Coiled denies access; deleting the key without disconnecting");
            Ok(AtCoiled::ThisStack)
        }
        Err(Error::OtherWorkspace(other)) => {
            let (slug, tagged) = (&other.slug, &other.tagged);
            let kept_at_coiled = format!("the AWS credentials of workspace {slug} or {tagged} at {server}");
            tracing::warn!(error = %other, kept_at_coiled, "deleting the key without disconnecting either workspace");
            Ok(AtCoiled::ThisStack)
        }
        Err(error) if owned.force => {
            tracing::warn!(%error, kept_at_coiled, "ForceDisconnect is set; deleting the key without disconnecting");
            Ok(AtCoiled::ThisStack)
        }
        Err(error) => Err(with_way_out(error, &owned.name)),
    }
}

/// Whether a key of this user was registered and a person removed the tag that describes the connection. The connection
/// is then recognized by comparing it with the properties.
fn lost_its_record(owned: &Owned, tags: &[Tag], shown: &Shown) -> bool {
    let is_recorded = get(tags, REGISTERED).and_then(Digests::read).is_some();
    let fits = owned.spec.as_ref().is_some_and(|spec| would_show(spec, shown));
    fits && !is_recorded && get(tags, ACCESS_KEY_ID).is_some()
}

async fn disconnect_if_owned(coiled: &Coiled, owned: &Owned, tags: &[Tag]) -> Result<AtCoiled, Error> {
    let slug = workspace(coiled, owned, tags).await?;
    let workspace = slug.as_str();
    let shown = coiled.shown(workspace).await?;
    if !shown.is_connected() && get(tags, PENDING).is_none() {
        tracing::info!(workspace, "the workspace is no longer connected");
        return Ok(AtCoiled::ThisStack);
    }
    // Coiled may show a pending key's connection later, so the workspace is disconnected even if Coiled shows none.
    if shown.is_connected() && !is_own_registration(tags, &shown) && !lost_its_record(owned, tags, &shown) {
        tracing::warn!(workspace, shown = %shown.describe(), "keeping a connection that this stack did not create");
        return Ok(AtCoiled::NotThisStack);
    }
    match coiled.disconnect(workspace, owned.force).await? {
        Disconnected::Now => tracing::info!(workspace, "disconnected the workspace"),
        Disconnected::Already => tracing::info!(workspace, "the workspace was already disconnected"),
    }
    Ok(AtCoiled::ThisStack)
}

/// Adds the command that forces the deletion. CloudFormation does not update a stack whose deletion failed, so the
/// property `ForceDisconnect` can no longer be set.
///
/// Throttling errors are returned unchanged, because throttling ends by itself. A forced deletion would needlessly
/// leave the registration at Coiled.
fn with_way_out(error: Error, name: &UserName) -> Error {
    let way_out = format!(
        "To delete the stack anyway, tag the user (aws iam tag-user --user-name {name} --tags \
         Key={FORCE_DISCONNECT},Value=true) and delete the stack again"
    );
    match error {
        Error::Secret { why: Unreadable::Passing(ref cause), .. } if is_busy(cause) || **cause == Error::Deadline => {
            error
        }
        Error::Coiled { status: 429, .. } => error,
        Error::Secret { arn, cause, why } => Error::Secret { arn, cause: format!("{cause}. {way_out}"), why },
        Error::Confirm(words) => Error::Confirm(format!("{words}. {way_out}")),
        Error::Unreachable { call, server, cause } => {
            Error::Unreachable { call, server, cause: format!("{cause}. {way_out}") }
        }
        Error::Untrusted { call, server, problem } => {
            Error::Unreachable { call, server, cause: format!("{problem}. {} {way_out}", problem.fix()) }
        }
        Error::Coiled { call, status, words } => Error::Coiled { call, status, words: format!("{words}. {way_out}") },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Problem;
    use crate::error::Trouble;

    fn secret(why: Error) -> Error {
        Error::Secret { arn: "arn".into(), cause: "cause".into(), why: Unreadable::Passing(Box::new(why)) }
    }

    fn aws(trouble: Trouble) -> Error {
        let (call, code, message) = ("GetSecretValue", "code".into(), "message".into());
        Error::Aws { call, code, message, trouble, may_have_worked: false }
    }

    fn coiled(status: u16) -> Error {
        Error::Coiled { call: "DELETE /".into(), status, words: "words".into() }
    }

    #[test]
    fn an_error_that_may_last_names_the_tag_that_forces_the_deletion() {
        let (call, server) = (String::from("DELETE /"), String::from("https://coiled.example.com"));
        for error in [
            secret(aws(Trouble::Lost)),
            coiled(503),
            Error::Confirm("2 clusters are running".into()),
            Error::Unreachable { call: call.clone(), server: server.clone(), cause: "timeout".into() },
            Error::Untrusted { call, server, problem: Box::new(Problem::NotYetValid) },
        ] {
            let text = with_way_out(error, &UserName::parse("ada").unwrap()).to_string();
            let command = "aws iam tag-user --user-name ada --tags Key=coiled-stack:force-disconnect,Value=true";
            assert!(text.contains(command), "{text}");
        }
    }

    #[test]
    fn an_error_that_ends_by_itself_does_not_name_the_tag_that_forces_the_deletion() {
        for error in [secret(aws(Trouble::Busy)), secret(Error::Deadline), coiled(429), Error::Deadline] {
            assert_eq!(with_way_out(error.clone(), &UserName::parse("ada").unwrap()), error);
        }
    }
}
