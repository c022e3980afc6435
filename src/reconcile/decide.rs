//! Decides whether this run registers a new key, and creates the link to Coiled.

use secrecy::SecretString;

use crate::aws::iam::Account;
use crate::coiled::connection::Shown;
use crate::coiled::socket::Socket;
use crate::coiled::{Coiled, settings_url};
use crate::error::Error;
use crate::properties::Spec;
use crate::reconcile::link::Link;
use crate::reconcile::plan::{Held, KeyDecision, KeyRoom, RegistrationState, key_room};
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

/// What is decided before it is known whether the user has room for a new key.
#[derive(Debug, Default)]
pub(crate) enum Decided {
    /// See [`KeyDecision::Keep`].
    #[default]
    Keep,
    /// See [`KeyDecision::LeaveInDoubt`].
    LeaveInDoubt,
    /// The request cannot succeed without a new key.
    Required(Box<Link>),
    /// A new key is registered if that is possible. The WebSocket is open already.
    Optional(Box<Link>, Box<Socket>),
}

/// Decides whether this run registers a new key, from the recorded registration and from what Coiled shows.
///
/// # Errors
/// Everything that prevents the registration of a key. An error from Coiled does not fail a request that can succeed
/// without a new key.
pub(crate) async fn decide(
    context: &Context<'_>,
    spec: &Spec,
    named: Option<&Workspace>,
    observed: &Observed,
    found: Option<Found>,
    state: RegistrationState,
) -> Result<Decided, Vec<Error>> {
    let Some(found) = found.filter(|_| state != RegistrationState::Current) else { return Ok(Decided::Keep) };
    let link = check_link(context, spec, named, observed.user.as_ref(), found).await;
    if !is_optional(observed, state) {
        return link.map(Decided::Required);
    }
    match with_socket(link).await {
        Ok(decided) => Ok(decided),
        Err(errors) => {
            let causes = errors.iter().map(Error::to_string).collect::<Vec<_>>().join("; ");
            tracing::warn!(causes, "cannot tell which key Coiled holds; keeping all keys until a later run finds out");
            Ok(Decided::LeaveInDoubt)
        }
    }
}

/// If no key has to be registered, the WebSocket is opened during the checks, so that the run does not change anything
/// if Coiled is unreachable.
async fn with_socket(link: Result<Box<Link>, Vec<Error>>) -> Result<Decided, Vec<Error>> {
    let link = link?;
    let socket = link.coiled.open(&link.workspace).await.map_err(|error| vec![error])?;
    Ok(Decided::Optional(link, Box::new(socket)))
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
/// Coiled with a key that does not work. Also returns the WebSocket, if it had to be opened to decide.
pub(crate) async fn check_room(
    context: &Context<'_>,
    spec: &Spec,
    observed: &Observed,
    decided: Decided,
) -> Result<(KeyDecision, Option<Socket>), Error> {
    let (link, socket) = match decided {
        Decided::Keep => return Ok((KeyDecision::Keep, None)),
        Decided::LeaveInDoubt => return Ok((KeyDecision::LeaveInDoubt, None)),
        Decided::Required(link) => (link, None),
        Decided::Optional(link, socket) => (link, Some(*socket)),
    };
    let surplus = match KeyDecision::replace(link, observed) {
        Ok(replace) => return Ok((replace, socket)),
        Err(surplus) => surplus,
    };
    let error = context.iam.no_key_slot(spec.user.as_str(), observed.keys(), surplus).await;
    let is_optional = socket.is_some();
    if is_optional {
        tracing::warn!(%error, "keeping all keys, because the recorded registration matches the properties");
        return Ok((KeyDecision::LeaveInDoubt, None));
    }
    Err(error)
}

/// Checks the tokens and the workspace. Rejects a connection that this stack did not create, unless `AdoptExisting` is
/// set.
async fn check_link(
    context: &Context<'_>,
    spec: &Spec,
    named: Option<&Workspace>,
    seen: Option<&SeenUser>,
    found: Found,
) -> Result<Box<Link>, Vec<Error>> {
    let (token, hub_token) = match (found.token, found.hub_token, found.account) {
        (Ok(token), Ok(hub_token), Ok(_)) => (token, hub_token),
        (token, hub_token, account) => {
            return Err([token.err(), hub_token.err(), account.err()].into_iter().flatten().collect());
        }
    };
    let coiled = context.coiled(&spec.server, token, context.work_until());
    let owned = seen.filter(|seen| seen.owner == Owner::Ours);
    let tags = owned.map(|seen| seen.user.tags.as_slice()).unwrap_or_default();
    let (workspace, before) =
        find_connection(context, &coiled, spec, named, tags).await.map_err(|error| vec![error])?;
    let is_known = is_own_registration(tags, &before) || is_own_connection(context, spec, seen, &before);
    if before.is_connected() && !spec.adopt && !is_known {
        let settings = settings_url(&spec.server, &workspace).into();
        return Err(vec![Error::Connected { workspace, shown: before.describe(), settings }]);
    }
    Ok(Box::new(Link { coiled, workspace, before, hub_token }))
}

/// The workspace's slug and its connection. Fails if the user's tag names another workspace.
async fn find_connection(
    context: &Context<'_>,
    coiled: &Coiled,
    spec: &Spec,
    named: Option<&Workspace>,
    tags: &[Tag],
) -> Result<(String, Shown), Error> {
    let Some(named) = named else {
        let default = Workspace::of_token(coiled.workspace(None).await?);
        context.created_in(&default.slug);
        default.check_tag(spec.user.as_str(), tags)?;
        let shown = coiled.shown(&default.slug).await?;
        return Ok((default.slug, shown));
    };
    named.check_tag(spec.user.as_str(), tags)?;
    let slug = named.slug.clone();
    // An earlier run has checked that the token's owner is a member of the tagged workspace.
    if get(tags, WORKSPACE).is_some() {
        let shown = coiled.shown(&slug).await?;
        return Ok((slug, shown));
    }
    let (checked, shown) = tokio::join!(coiled.workspace(Some(&slug)), coiled.shown(&slug));
    Ok((checked?, shown?))
}
