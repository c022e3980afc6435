//! Handles a Delete for which nothing proves that this stack registered a key.
//!
//! A person may have deleted the user, and with it the tags. A Create that failed and could not delete all of its
//! resources leaves the same state. Coiled does not show which key it holds, so a connection with the stack's region
//! and network may be someone else's. Such a connection is kept, and the log says where to look. An error does not fail
//! the Delete: a key of this stack no longer works, and there may be no user to tag with
//! `coiled-stack:force-disconnect`.

use crate::coiled::connection::Shown;
use crate::coiled::settings_url;
use crate::delete::access::{coiled_deadline, server_and_token, workspace};
use crate::delete::find::Owned;
use crate::error::Error;
use crate::resource::context::Context;
use crate::tag::Tag;

/// Logs whether the stack's workspace is connected. Does not disconnect it.
pub(super) async fn report(context: &Context<'_>, owned: &Owned, tags: &[Tag]) {
    match shown(context, owned, tags).await {
        Ok((workspace, shown)) if !shown.is_connected() => tracing::info!(workspace, "the workspace is not connected"),
        Ok((workspace, shown)) => {
            let (shown, settings) = (shown.describe(), settings(owned, &workspace));
            tracing::warn!(
                workspace,
                shown,
                settings,
                "keeping the connection, because nothing proves that this stack created it; if this stack did, the \
                 key no longer works: disconnect the workspace in its settings"
            );
        }
        Err(error) => {
            let settings = settings(owned, owned.workspace.as_ref().map_or("WORKSPACE", |named| named.slug.as_str()));
            tracing::warn!(
                %error,
                settings,
                "cannot tell whether Coiled holds a key of this stack; if it does, the key no longer works: disconnect \
                 the workspace in its settings"
            );
        }
    }
}

fn settings(owned: &Owned, workspace: &str) -> String {
    owned.server.as_ref().map(|server| settings_url(server, workspace)).unwrap_or_default()
}

/// The slug of the stack's workspace, and the connection that Coiled shows for it.
async fn shown(context: &Context<'_>, owned: &Owned, tags: &[Tag]) -> Result<(String, Shown), Error> {
    // Errors are ignored here, so the wait is as short as that of a forced deletion.
    let is_brief = true;
    let (server, token) = server_and_token(context, owned, is_brief).await?;
    let coiled = context.coiled(server, token, coiled_deadline(context, is_brief));
    let workspace = workspace(&coiled, owned, tags).await?;
    let shown = coiled.shown(&workspace).await?;
    Ok((workspace, shown))
}
