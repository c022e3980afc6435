//! How a Delete reaches Coiled: which server, token and workspace it uses, and how long it waits.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use crate::coiled::Coiled;
use crate::delete::find::Owned;
use crate::error::Error;
use crate::properties::names::Server;
use crate::resource::context::Context;
use crate::resource::trust::{self, Workspace};
use crate::tag::Tag;

/// The longest wait for Coiled if its errors are ignored, because `ForceDisconnect` is set or nothing has to be
/// disconnected.
const BRIEF: Duration = Duration::from_secs(30);

/// The server in the properties, and the token. Fails if the function was not deployed for them. `is_brief` limits the
/// wait for the token.
pub(crate) async fn server_and_token<'o>(
    context: &Context<'_>,
    owned: &'o Owned,
    is_brief: bool,
) -> Result<(&'o Server, SecretString), Error> {
    let (Some(server), Some(secret)) = (&owned.server, &owned.token_secret) else {
        return Err(Error::Request("the properties lack a valid server or a secret ARN".into()));
    };
    trust::check_token(context.config, server, secret)?;
    let token = match is_brief {
        true => context.token_by(secret, coiled_deadline(context, true)).await?,
        false => context.token(secret).await?,
    };
    Ok((server, token))
}

/// The slug of the workspace to disconnect. If the user's tag names another one, this fails before any connection
/// is read.
pub(crate) async fn workspace(coiled: &Coiled, owned: &Owned, tags: &[Tag]) -> Result<String, Error> {
    let workspace = match &owned.workspace {
        Some(named) => named.clone(),
        None => Workspace::of_token(coiled.workspace(None).await?),
    };
    workspace.check_tag(owned.name.as_str(), tags)?;
    Ok(workspace.slug)
}

/// When requests to Coiled must end. At least half of the work time is left for AWS.
pub(crate) fn coiled_deadline(context: &Context<'_>, is_brief: bool) -> Instant {
    let now = Instant::now();
    let half = context.deadlines.work.saturating_duration_since(now) / 2;
    now + if is_brief { half.min(BRIEF) } else { half }
}
