//! Decides whether this run registers a new key, and creates the link to Coiled.

use secrecy::SecretString;

use crate::aws::iam::Account;
use crate::coiled::connection::Shown;
use crate::coiled::socket::Socket;
use crate::coiled::{Coiled, settings_url};
use crate::error::Error;
use crate::properties::Spec;
use crate::reconcile::link::Link;
use crate::reconcile::plan::{Held, KeyDecision, KeyRoom, RegistrationState, held, key_room};
use crate::resource::context::Context;
use crate::resource::observe::{Observed, SeenUser};
use crate::resource::ownership::Owner;
use crate::resource::recognition::is_own_connection;
use crate::resource::record::is_own_registration;
use crate::resource::trust::Workspace;
use crate::tag::{Tag, WORKSPACE, get};

/// The responses of Secrets Manager and STS.
#[derive(Debug)]
pub(crate) struct Found {
    pub token: Result<SecretString, Error>,
    /// The Docker Hub token; `None` if the registry is ECR.
    pub hub_token: Result<Option<SecretString>, Error>,
    /// The function's account.
    pub account: Result<Account, Error>,
}

/// Whether this run registers a new key, and the WebSocket, if it had to be opened to find out.
#[derive(Debug)]
pub(crate) struct Decided {
    pub key: KeyDecision<Link>,
    pub socket: Option<Socket>,
}

impl Default for Decided {
    fn default() -> Self {
        Self { key: KeyDecision::Keep, socket: None }
    }
}

impl Decided {
    fn in_doubt() -> Self {
        Self { key: KeyDecision::LeaveInDoubt, socket: None }
    }
}

/// Decides whether this run registers a new key, from the recorded registration and from what Coiled shows.
///
/// # Errors
/// Everything that prevents the registration of a key. An error from Coiled does not fail a request that can succeed
/// without a new key.
pub(crate) async fn decide(
    context: &Context<'_>,
    spec: &Spec,
    observed: &Observed,
    found: Option<Found>,
    state: RegistrationState,
) -> Result<Decided, Vec<Error>> {
    let Some(found) = found.filter(|_| state != RegistrationState::Current) else { return Ok(Decided::default()) };
    let link = link(context, spec, observed.user.as_ref(), found).await;
    if !is_optional(observed, state) {
        return link.map(|link| Decided { key: KeyDecision::Replace(link), socket: None });
    }
    match with_socket(link).await {
        Ok(decided) => Ok(decided),
        Err(errors) => {
            let causes = errors.iter().map(Error::to_string).collect::<Vec<_>>().join("; ");
            tracing::warn!(causes, "cannot tell which key Coiled holds; keeping all keys until a later run finds out");
            Ok(Decided::in_doubt())
        }
    }
}

/// If no key has to be registered, the WebSocket is opened during the checks, so that the run does not change anything
/// if Coiled is unreachable.
async fn with_socket(link: Result<Link, Vec<Error>>) -> Result<Decided, Vec<Error>> {
    let link = link?;
    let socket = link.coiled.open(&link.workspace).await.map_err(|error| vec![error])?;
    Ok(Decided { key: KeyDecision::Replace(link), socket: Some(socket) })
}

/// Whether the request can succeed without registering a key. In that case, an error from Coiled must not fail it: a
/// rollback may be such a request, and after a failed rollback, CloudFormation no longer updates the stack.
///
/// The recorded registration must match the properties. If the recorded key is lost, there must also be no room for a
/// new key, as far as that is known without Coiled.
fn is_optional(observed: &Observed, state: RegistrationState) -> bool {
    match state {
        RegistrationState::Uncertain => true,
        RegistrationState::KeyLost => matches!(key_room(observed, Held::Unknown), KeyRoom::None { .. }),
        RegistrationState::Current | RegistrationState::Needed => false,
    }
}

/// Rejects a registration if the user has no room for another key. Deleting a key that Coiled may hold could leave
/// Coiled with a key that does not work.
pub(crate) async fn unless_no_room(
    context: &Context<'_>,
    spec: &Spec,
    observed: &Observed,
    decided: Decided,
    state: RegistrationState,
) -> Result<Decided, Error> {
    let room = decided.key.way().map(|link| key_room(observed, held(observed, link)));
    let Some(KeyRoom::None { surplus }) = room else { return Ok(decided) };
    let error = context.iam.no_key_slot(spec.user.as_str(), observed.keys(), surplus).await;
    if is_optional(observed, state) {
        tracing::warn!(%error, "keeping all keys, because the recorded registration matches the properties");
        return Ok(Decided::in_doubt());
    }
    Err(error)
}

/// Checks the tokens and the workspace. Rejects a connection that this stack did not create, unless `AdoptExisting` is
/// set.
async fn link(context: &Context<'_>, spec: &Spec, seen: Option<&SeenUser>, found: Found) -> Result<Link, Vec<Error>> {
    let (token, hub_token) = match (found.token, found.hub_token, found.account) {
        (Ok(token), Ok(hub_token), Ok(_)) => (token, hub_token),
        (token, hub_token, account) => {
            return Err([token.err(), hub_token.err(), account.err()].into_iter().flatten().collect());
        }
    };
    let coiled = context.coiled(&spec.server, token, context.work_until());
    let owned = seen.filter(|seen| seen.owner == Owner::Ours);
    let tags = owned.map(|seen| seen.user.tags.as_slice()).unwrap_or_default();
    let (workspace, before) = find_connection(context, &coiled, spec, tags).await.map_err(|error| vec![error])?;
    let is_known = is_own_registration(tags, &before) || is_own_connection(context, spec, seen, &before);
    if before.is_connected() && !spec.adopt && !is_known {
        let settings = settings_url(&spec.server, &workspace).into();
        return Err(vec![Error::Connected { workspace, shown: before.describe(), settings }]);
    }
    Ok(Link { coiled, workspace, before, hub_token })
}

/// The workspace's slug and its connection. Fails if the user's tag names another workspace.
async fn find_connection(
    context: &Context<'_>,
    coiled: &Coiled,
    spec: &Spec,
    tags: &[Tag],
) -> Result<(String, Shown), Error> {
    let Some(named) = named_workspace(context, spec) else {
        let default = Workspace::of_token(coiled.workspace(None).await?);
        context.created_in(&default.slug);
        default.check_tag(spec.user.as_str(), tags)?;
        let shown = coiled.shown(&default.slug).await?;
        return Ok((default.slug, shown));
    };
    named.check_tag(spec.user.as_str(), tags)?;
    let slug = named.slug;
    // An earlier run has checked that the token's owner is a member of the tagged workspace.
    if get(tags, WORKSPACE).is_some() {
        let shown = coiled.shown(&slug).await?;
        return Ok((slug, shown));
    }
    let (checked, shown) = tokio::join!(coiled.workspace(Some(&slug)), coiled.shown(&slug));
    Ok((checked?, shown?))
}

/// The workspace that the stack names. `None` means the token's default.
pub(crate) fn named_workspace(context: &Context<'_>, spec: &Spec) -> Option<Workspace> {
    Workspace::named(spec.workspace.as_deref(), context.envelope.physical_resource_id().workspace())
}
