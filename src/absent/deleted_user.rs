//! Handles a Delete after a person deleted the user. Coiled may still hold the user's key, which no longer works.
//!
//! The user's tags are gone, so the connection is recognized by comparing it with the properties. An error here does
//! not fail the Delete, because the key is harmless and there is no user left to tag with
//! `coiled-stack:force-disconnect`.

use super::{Owned, coiled_deadline, server_and_token, workspace};
use crate::coiled::registration::would_show;
use crate::coiled::settings_url;
use crate::context::Context;
use crate::error::Error;

/// Disconnects the workspace if Coiled shows this stack's connection. Otherwise logs that Coiled may still hold the
/// key.
pub(super) async fn disconnect(context: &Context<'_>, owned: &Owned) -> Result<(), Error> {
    match disconnect_if_recognized(context, owned).await {
        Ok(()) => tracing::info!("the user was deleted by hand; Coiled no longer holds its key"),
        Err(error) => {
            let settings = settings(owned);
            tracing::warn!(%error, settings, "the user was deleted by hand; if Coiled still holds its key, disconnect the workspace in its settings");
        }
    }
    Ok(())
}

fn settings(owned: &Owned) -> String {
    let workspace = owned.workspace.as_ref().map_or("WORKSPACE", |workspace| workspace.slug.as_str());
    owned.server.as_ref().map(|server| settings_url(server, workspace)).unwrap_or_default()
}

async fn disconnect_if_recognized(context: &Context<'_>, owned: &Owned) -> Result<(), Error> {
    let unknown = |why: &str| Error::Unconfirmed(format!("not disconnecting the workspace: {why}"));
    if owned.name_is_taken {
        return Err(unknown("another user now has this name and may be connected"));
    }
    let spec = owned.spec.as_ref().ok_or_else(|| unknown("the properties are not valid"))?;
    // A Create with `AdoptExisting` may have failed before it replaced someone else's connection.
    if spec.adopt {
        return Err(unknown("AdoptExisting is set, so the connection may be older than the stack"));
    }
    let (server, token) = server_and_token(context, owned).await?;
    let coiled = context.coiled(server, token, coiled_deadline(context, owned.force));
    let workspace = workspace(&coiled, owned, &[]).await?;
    let shown = coiled.shown(&workspace).await?;
    if !shown.is_connected() {
        return Ok(());
    }
    if !would_show(spec, &shown) {
        let settings = settings_url(server, &workspace).into();
        return Err(Error::Connected { workspace, shown: shown.describe(), settings });
    }
    coiled.disconnect(&workspace, owned.force).await.map(|_| ())
}
