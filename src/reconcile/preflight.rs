//! The checks of a Create or an Update. All of them run before the first change.

use std::collections::BTreeMap;

use crate::aws::iam::Account;
use crate::aws::iam::document::Kind;
use crate::aws::iam::policy::Policy;
use crate::cloudformation::request::RequestType;
use crate::coiled::socket::Socket;
use crate::error::{Error, Failure};
use crate::properties::Spec;
use crate::properties::registry::Registry;
use crate::reconcile::decide::{Found, check_room, decide};
use crate::reconcile::plan::{KeyDecision, RegistrationState, registration_state};
use crate::reconcile::refusals::{check_identity, check_owner, foreign_policies};
use crate::resource::context::Context;
use crate::resource::observe::{self, Observed, SeenUser};
use crate::resource::ownership::Owner;
use crate::resource::recognition::reclaim;
use crate::resource::suspects;
use crate::resource::trust::{self, Workspace};
use crate::tag::{WORKSPACE, get};

/// The result of the checks.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The validated properties.
    pub spec: Spec,
    /// The workspace that the stack names. `None` means the token's default.
    pub named: Option<Workspace>,
    /// The AWS account of the user and its policies.
    pub account: Account,
    /// The state of the user and its policies before this run.
    pub observed: Observed,
    /// Whether this run registers a new key.
    pub key: KeyDecision,
    /// The WebSocket, if the checks had to open it.
    pub socket: Option<Socket>,
}

/// Validates the properties, then checks the account and Coiled.
pub(crate) async fn prepare(context: &Context<'_>, request: RequestType) -> Result<Prepared, Failure> {
    context.enter("validate the properties");
    let spec = parse(context).map_err(|error| context.failure(error))?;
    context.enter("check the account and Coiled");
    check(context, request, spec).await.map_err(|error| context.failure(error))
}

fn parse(context: &Context<'_>) -> Result<Spec, Error> {
    let missing = context.envelope.missing();
    if !missing.is_empty() {
        return Err(Error::Request(format!("{} missing", missing.join(", "))));
    }
    if let Some(reason) = &context.envelope.malformed {
        return Err(Error::Request(reason.clone()));
    }
    context.read_spec(&context.envelope.properties)
}

/// Runs two rounds of parallel checks. The status reason lists every failed check of the second round, so that a single
/// new deployment can fix them all.
async fn check(context: &Context<'_>, request: RequestType, spec: Spec) -> Result<Prepared, Error> {
    // An Update may be a rollback to the registered settings. A rollback needs neither Coiled nor a secret, and must
    // not fail.
    if request == RequestType::Create {
        trust::check_pins(context.config, &spec)?;
    }
    let (seen, found) = first_round(context, request, &spec).await?;
    let mut observed = Observed { user: seen, ..Observed::default() };
    if let Some(seen) = observed.user.as_mut().filter(|seen| seen.owner == Owner::Ours) {
        suspects::read_last_uses(&context.iam, seen).await?;
    }
    if request == RequestType::Update {
        check_identity(context, &spec, observed.user.as_ref())?;
    }
    let state = registration_state(&spec, &observed);
    note_workspace_again(context, &spec, &observed, state);
    let found = match found {
        None if state != RegistrationState::Current => Some(look_up(context, &spec).await),
        found => found,
    };
    let account = account_of_user_or_sts(context, &spec, observed.user.as_ref(), found.as_ref()).await;
    let named = Workspace::named(spec.workspace.as_deref(), context.envelope.physical_resource_id().workspace());
    let (decided, policies) = tokio::join!(
        decide(context, &spec, named.as_ref(), &observed, found, state),
        read_policies(context, &spec, account.as_ref().ok()),
    );
    let mut errors = Vec::from_iter(check_owner(&spec, observed.user.as_ref()).err());
    let decided = decided.map_err(|failed| errors.extend(failed)).unwrap_or_default();
    observed.policies = policies.map_err(|error| errors.push(error)).unwrap_or_default();
    errors.extend(foreign_policies(context, &spec, &observed));
    // If the registration needed the account too, `decide` has already added this error.
    if let Err(error) = &account
        && !errors.contains(error)
    {
        errors.push(error.clone());
    }
    if let Some(error) = Error::all(errors) {
        return Err(error);
    }
    let (key, socket) = check_room(context, &spec, &observed, decided).await?;
    Ok(Prepared { spec, named, account: account?, observed, key, socket })
}

/// If a Create is delivered again, its work is already done, so the run does not ask Coiled for the workspace. It must
/// respond with the same physical ID as the first delivery. CloudFormation has already stored that ID, so it does not
/// matter here if someone has changed the tag.
fn note_workspace_again(context: &Context<'_>, spec: &Spec, observed: &Observed, state: RegistrationState) {
    let tagged = observed.owned().and_then(|seen| get(&seen.user.tags, WORKSPACE));
    if let (RegistrationState::Current, None, Some(slug)) = (state, &spec.workspace, tagged) {
        context.created_in(slug);
    }
}

/// Reads the user. A Create reads the tokens and the account in parallel, because it nearly always registers a key.
async fn first_round(
    context: &Context<'_>,
    request: RequestType,
    spec: &Spec,
) -> Result<(Option<SeenUser>, Option<Found>), Error> {
    if request == RequestType::Update {
        let seen = context.user_at_rest(&spec.user).await;
        // CloudFormation has already changed the role's policy to the new UserPath, which denies access to a user under
        // the old path. The status reason must name UserPath instead of AccessDenied.
        if seen.is_err() {
            check_identity(context, spec, None)?;
        }
        let seen = match seen? {
            Some(seen) => Some(reclaim(context, spec, seen).await?),
            None => None,
        };
        return Ok((seen, None));
    }
    let (found, seen) = tokio::join!(look_up(context, spec), context.user_at_rest(&spec.user));
    Ok((seen?, Some(found)))
}

async fn read_policies(
    context: &Context<'_>,
    spec: &Spec,
    account: Option<&Account>,
) -> Result<BTreeMap<Kind, Policy>, Error> {
    match account {
        Some(account) => observe::policies(&context.iam, account, spec.path.as_str(), &spec.user).await,
        None => Ok(BTreeMap::new()),
    }
}

/// Reads a secret only if the function was deployed for that secret, and for the server and registry that would receive
/// the tokens.
async fn look_up(context: &Context<'_>, spec: &Spec) -> Found {
    let pinned = trust::check_pins(context.config, spec);
    let token = async {
        pinned.clone()?;
        context.token(&spec.token_secret).await
    };
    let hub_token = async {
        match (&spec.registry, &pinned) {
            (Registry::DockerHub(hub), Ok(())) => context.token(&hub.token_secret).await.map(Some),
            _ => Ok(None),
        }
    };
    let (token, hub_token, account) = tokio::join!(token, hub_token, context.account(&spec.region));
    Found { token, hub_token, account }
}

/// The account from the user's ARN if the user exists, otherwise from STS.
async fn account_of_user_or_sts(
    context: &Context<'_>,
    spec: &Spec,
    seen: Option<&SeenUser>,
    found: Option<&Found>,
) -> Result<Account, Error> {
    let of_user = seen.and_then(|seen| Account::of_arn(&seen.user.arn));
    match (of_user, found) {
        (Some(account), _) => Ok(account),
        (None, Some(found)) => found.account.clone(),
        (None, None) => context.account(&spec.region).await,
    }
}
