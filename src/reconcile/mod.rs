//! Create and Update. Every check runs before the first change; then the plan is executed.

pub mod apply;
pub mod plan;
pub mod undo;

use std::collections::BTreeMap;
use std::sync::Mutex;

use secrecy::SecretString;

use crate::aws::iam::Account;
use crate::aws::iam::document::Kind;
use crate::aws::iam::policy::Policy;
use crate::cloudformation::request::RequestType;
use crate::cloudformation::response::Data;
use crate::coiled::connection::Shown;
use crate::coiled::socket::Socket;
use crate::coiled::{Coiled, settings_url};
use crate::error::{Error, Failure};
use crate::lock::locked;
use crate::properties::registry::Registry;
use crate::properties::tags;
use crate::properties::{Remnant, Spec};
use crate::reconcile::apply::Run;
use crate::reconcile::plan::{Held, KeyRoom, Registration, Wanted, creation, key_room, plan, registration, suspects};
use crate::reconcile::undo::Journal;
use crate::resource::context::Context;
use crate::resource::observe::{self, Observed, SeenUser};
use crate::resource::ownership::Owner;
use crate::resource::recognition::{is_own_connection, is_own_policy, reclaim};
use crate::resource::record::{held_key, is_ours};
use crate::resource::trust::{self, Workspace};
use crate::tag::Tag;
use crate::tag::{ACCESS_KEY_ID, SERVER, WORKSPACE, get};

/// What a run needs to register a key with Coiled.
#[derive(Debug)]
pub struct Link {
    /// The client, which holds the API token.
    pub coiled: Coiled,
    /// The workspace's slug.
    pub workspace: String,
    /// The workspace's connection before this run changed it.
    pub before: Shown,
    /// The Docker Hub token; `None` if the registry is ECR.
    pub hub_token: Option<SecretString>,
    /// The WebSocket, if the checks had to open it.
    pub socket: Mutex<Option<Socket>>,
}

/// The result of the checks.
#[derive(Debug)]
pub struct Prepared {
    /// The validated properties.
    pub spec: Spec,
    /// The AWS account of the user and its policies.
    pub account: Account,
    /// The state of the user and its policies before this run.
    pub observed: Observed,
    /// `None` if this run does not register a key.
    pub link: Option<Link>,
}

/// Creates or updates the connection, and undoes changes after a failure.
///
/// # Errors
/// The failed step, with the ARNs of everything that could not be undone.
pub async fn run(context: &Context<'_>, request: RequestType) -> Result<Data, Failure> {
    loop {
        let journal = Journal::default();
        let prepared = context.guarded(context.deadlines.work, prepare(context, request)).await?;
        let run = Run::new(context, &prepared, &journal);
        let result = context.guarded(context.deadlines.work, execute(context, &prepared, &run)).await;
        match result {
            Ok(()) => return Ok(data(&prepared, &run)),
            // Lambda may deliver an event twice in parallel. The run that loses the race has not changed anything. It
            // repeats its checks, which wait until the other run has ended, and then sends the same response.
            Err(failure) if run.was_overtaken() => tracing::info!(%failure, "another run was faster; checking again"),
            Err(failure) => return Err(undo_after_failure(context, request, &run, failure).await),
        }
    }
}

/// A failed Create undoes all its changes. A failed Update undoes only a key that Coiled cannot hold, because
/// CloudFormation rolls back the rest with another Update.
async fn undo_after_failure(
    context: &Context<'_>,
    request: RequestType,
    run: &Run<'_>,
    mut failure: Failure,
) -> Failure {
    tracing::error!(%failure, "the request failed");
    let undo = async { Ok(run.undo_changes(request == RequestType::Create).await) };
    match context.guarded(context.deadlines.undo, undo).await {
        Ok(leftovers) => failure.leftovers = leftovers,
        Err(cut_off) => {
            tracing::error!(%cut_off, "the undo did not finish");
            failure.leftovers = run.not_undone();
        }
    }
    failure
}

async fn execute(context: &Context<'_>, prepared: &Prepared, run: &Run<'_>) -> Result<(), Failure> {
    let observed = &prepared.observed;
    let plan = plan(&wanted(context, prepared), observed);
    if plan.is_empty() {
        tracing::info!("nothing to change");
        return Ok(());
    }
    tracing::info!(plan = %plan, "plan");
    context.set_creation(creation(observed, prepared.link.is_some(), context.config.create_key));
    run.execute(&plan).await
}

fn wanted<'p>(context: &Context<'_>, prepared: &'p Prepared) -> Wanted<'p> {
    let tagged = prepared.observed.owned().and_then(|seen| get(&seen.user.tags, WORKSPACE));
    let workspace = prepared.link.as_ref().map(|link| link.workspace.as_str()).or(tagged);
    Wanted {
        spec: &prepared.spec,
        tags: context.ownership.for_policy(&prepared.spec),
        user_tags: context.ownership.for_user(&prepared.spec, workspace),
        old_tag_keys: tags::keys_leniently(context.envelope.old_properties()),
        old_boundary: Remnant::read(context.envelope.old_properties()).boundary,
        registers: prepared.link.is_some(),
        held: prepared.link.as_ref().map_or(Held::Unknown, |link| held(&prepared.observed, link)),
    }
}

fn held<'o>(observed: &'o Observed, link: &Link) -> Held<'o> {
    if !link.before.is_connected() {
        return Held::Nothing;
    }
    let key = observed.owned().and_then(|seen| held_key(&seen.user.tags, &link.before));
    key.map_or(Held::Unknown, Held::Key)
}

/// Validates the properties, then checks the account and Coiled.
async fn prepare(context: &Context<'_>, request: RequestType) -> Result<Prepared, Failure> {
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
    let suspects: Vec<String> = suspects(&observed).into_iter().map(|key| key.id.clone()).collect();
    observe::last_uses(&context.iam, &mut observed, &suspects).await?;
    if request == RequestType::Update {
        check_identity(context, &spec, observed.user.as_ref())?;
    }
    let state = registration(&spec, &observed);
    note_workspace_again(context, &spec, &observed, state);
    let found = match found {
        None if state != Registration::Current => Some(look_up(context, &spec).await),
        found => found,
    };
    let account = account(context, &spec, observed.user.as_ref(), found.as_ref()).await;
    let (link, policies) = tokio::join!(
        link_if_needed(context, &spec, &observed, found, state),
        policies(context, &spec, account.as_ref().ok()),
    );
    let mut errors = Vec::from_iter(check_owner(&spec, observed.user.as_ref()).err());
    let link = link.map_err(|failed| errors.extend(failed)).ok().flatten();
    observed.policies = policies.map_err(|error| errors.push(error)).unwrap_or_default();
    errors.extend(foreign_policies(context, &spec, &observed));
    // If the registration needed the account too, `link_if_needed` has already added this error.
    if let Err(error) = &account
        && !errors.contains(error)
    {
        errors.push(error.clone());
    }
    if let Some(error) = Error::all(errors) {
        return Err(error);
    }
    let link = link_if_room(context, &spec, &observed, link, state).await?;
    Ok(Prepared { spec, account: account?, observed, link })
}

/// Rejects a registration if the user has no room for another key. Deleting a key that Coiled may hold could leave
/// Coiled with a key that does not work.
async fn link_if_room(
    context: &Context<'_>,
    spec: &Spec,
    observed: &Observed,
    link: Option<Link>,
    state: Registration,
) -> Result<Option<Link>, Error> {
    let Some(link) = link else { return Ok(None) };
    let KeyRoom::None { surplus } = key_room(observed, held(observed, &link)) else { return Ok(Some(link)) };
    let error = context.iam.no_key_slot(spec.user.as_str(), observed.keys(), surplus).await;
    if is_optional(observed, state) {
        tracing::warn!(%error, "keeping all keys, because the recorded registration matches the properties");
        return Ok(None);
    }
    Err(error)
}

/// If a Create is delivered again, its work is already done, so the run does not ask Coiled for the workspace. It must
/// respond with the same physical ID as the first delivery. CloudFormation has already stored that ID, so it does not
/// matter here if someone has changed the tag.
fn note_workspace_again(context: &Context<'_>, spec: &Spec, observed: &Observed, state: Registration) {
    let tagged = observed.owned().and_then(|seen| get(&seen.user.tags, WORKSPACE));
    if let (Registration::Current, None, Some(slug)) = (state, &spec.workspace, tagged) {
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

/// Whether the request can succeed without registering a key. That requires that the recorded registration matches the
/// properties. If the recorded key is lost, it also requires that there is no room for a new key, as far as that is
/// known without Coiled. Otherwise a rollback could fail, and CloudFormation would no longer update the stack.
fn is_optional(observed: &Observed, state: Registration) -> bool {
    match state {
        Registration::Uncertain => true,
        Registration::KeyLost => matches!(key_room(observed, Held::Unknown), KeyRoom::None { .. }),
        Registration::Current | Registration::Needed => false,
    }
}

async fn link_if_needed(
    context: &Context<'_>,
    spec: &Spec,
    observed: &Observed,
    found: Option<Found>,
    state: Registration,
) -> Result<Option<Link>, Vec<Error>> {
    let is_optional = is_optional(observed, state);
    match found {
        Some(found) if state != Registration::Current => {
            let link = match link(context, spec, observed.user.as_ref(), found).await {
                Ok(link) if is_optional => with_socket(link).await,
                other => other,
            };
            unless_optional(is_optional, link.map(Some))
        }
        _ => Ok(None),
    }
}

/// If no key has to be registered, the WebSocket is opened during the checks, so that the run does not change anything
/// if Coiled is unreachable.
async fn with_socket(link: Link) -> Result<Link, Vec<Error>> {
    let socket = link.coiled.open(&link.workspace).await.map_err(|error| vec![error])?;
    *locked(&link.socket) = Some(socket);
    Ok(link)
}

async fn policies(
    context: &Context<'_>,
    spec: &Spec,
    account: Option<&Account>,
) -> Result<BTreeMap<Kind, Policy>, Error> {
    match account {
        Some(account) => observe::policies(&context.iam, account, spec.path.as_str(), &spec.user).await,
        None => Ok(BTreeMap::new()),
    }
}

/// An error from Coiled does not fail a request that needs no registration.
fn unless_optional(is_optional: bool, link: Result<Option<Link>, Vec<Error>>) -> Result<Option<Link>, Vec<Error>> {
    match link {
        Err(errors) if is_optional => {
            let causes = errors.iter().map(Error::to_string).collect::<Vec<_>>().join("; ");
            tracing::warn!(causes, "cannot tell which key Coiled holds; keeping all keys until a later run finds out");
            Ok(None)
        }
        other => other,
    }
}

/// The responses of Secrets Manager and STS.
struct Found {
    token: Result<SecretString, Error>,
    hub_token: Result<Option<SecretString>, Error>,
    account: Result<Account, Error>,
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
async fn account(
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
    let is_known = is_ours(tags, &before) || is_own_connection(context, spec, seen, &before);
    if before.is_connected() && !spec.adopt && !is_known {
        let settings = settings_url(&spec.server, &workspace).into();
        return Err(vec![Error::Connected { workspace, shown: before.describe(), settings }]);
    }
    Ok(Link { coiled, workspace, before, hub_token, socket: Mutex::default() })
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

fn named_workspace(context: &Context<'_>, spec: &Spec) -> Option<Workspace> {
    Workspace::named(spec.workspace.as_deref(), context.envelope.physical_resource_id().workspace())
}

/// Rejects a user that this stack neither owns nor may adopt.
fn check_owner(spec: &Spec, seen: Option<&SeenUser>) -> Result<(), Error> {
    let Some(seen) = seen else { return Ok(()) };
    match seen.owner {
        Owner::Ours => Ok(()),
        Owner::Coiled if spec.adopt && seen.user.name == spec.user.as_str() && seen.user.path == spec.path.as_str() => {
            check_boundary(spec, seen)
        }
        _ => Err(Error::Foreign { what: seen.user.whose() }),
    }
}

/// Rejects the adoption of a user that does not have the stack's boundary. The function's role may set that boundary
/// but not delete it, so a failed Create could not restore the user.
fn check_boundary(spec: &Spec, seen: &SeenUser) -> Result<(), Error> {
    match &spec.boundary {
        Some(wanted) if seen.user.boundary.as_ref() != Some(wanted) => {
            Err(Error::Unbounded { arn: seen.user.arn.clone(), wanted: wanted.clone() })
        }
        _ => Ok(()),
    }
}

/// An error for each policy that does not have this stack's ownership tags, unless this run adopts the policy with its
/// user.
fn foreign_policies(context: &Context<'_>, spec: &Spec, observed: &Observed) -> Vec<Error> {
    // A run that was killed during an adoption may have tagged the user but not its policies.
    let owner = observed.user.as_ref().map(|seen| seen.owner);
    let adopts = spec.adopt && matches!(owner, Some(Owner::Coiled | Owner::Ours));
    let is_foreign = |(kind, policy): &(&Kind, &Policy)| match context.ownership.owner(&policy.tags) {
        Owner::Ours => false,
        Owner::Coiled | Owner::Unmarked => !adopts && !is_own_policy(context, observed, **kind, policy),
        Owner::AnotherStack => true,
    };
    let foreign = observed.policies.iter().filter(is_foreign);
    foreign.map(|(_, policy)| Error::Foreign { what: format!("policy {}", policy.arn) }).collect()
}

/// Rejects an Update that changes the server, the workspace, the user's name or its path.
///
/// A rollback must pass this check, but its `OldResourceProperties` contain the rejected values. So a server or a
/// workspace counts as changed only if its state tag differs too. If only the tag differs, someone may have changed the
/// tag, and [`trust`] decides.
fn check_identity(context: &Context<'_>, spec: &Spec, seen: Option<&SeenUser>) -> Result<(), Error> {
    let old = Remnant::read(context.envelope.old_properties());
    let physical_id = context.envelope.physical_resource_id();
    let left = |slug: &str| spec.workspace.as_deref().is_some_and(|new| new != slug);
    let changed = match seen.filter(|seen| seen.owner == Owner::Ours) {
        Some(seen) => {
            let tags_differ = |key, new: &str| get(&seen.user.tags, key).is_some_and(|tagged| tagged != new);
            let server = spec.server.to_string();
            let moved = match (physical_id.workspace(), &spec.workspace) {
                (Some(created_in), _) => left(created_in),
                (None, Some(new)) => old.workspace.as_ref() != Some(new) && tags_differ(WORKSPACE, new),
                (None, None) => false,
            };
            vec![
                ("CoiledServer", old.server.as_ref() != Some(&spec.server) && tags_differ(SERVER, &server)),
                ("Workspace", moved),
                ("UserName", seen.user.name != spec.user.as_str()),
                ("UserPath", seen.user.path != spec.path.as_str()),
            ]
        }
        None => vec![
            ("CoiledServer", old.server.is_some_and(|server| server != spec.server)),
            ("Workspace", physical_id.workspace().is_some_and(left)),
            ("UserName", old.user.is_some_and(|user| user != spec.user)),
            ("UserPath", old.path.is_some_and(|path| path != spec.path)),
        ],
    };
    let changed: Vec<String> = changed.into_iter().filter(|(_, is)| *is).map(|(name, _)| name.to_owned()).collect();
    if changed.is_empty() { Ok(()) } else { Err(Error::Identity(changed)) }
}

/// The attributes that `Fn::GetAtt` returns.
fn data(prepared: &Prepared, run: &Run<'_>) -> Data {
    let Prepared { spec, account, observed, link } = prepared;
    let tag = |key| observed.owned().and_then(|seen| get(&seen.user.tags, key)).map(str::to_owned);
    let named = || named_workspace(run.context, spec).map(|workspace| workspace.slug);
    let linked = link.as_ref().map(|link| link.workspace.clone());
    let workspace = linked.or_else(named).or_else(|| tag(WORKSPACE)).unwrap_or_default();
    let arn = |kind: Kind| account.policy_arn(spec.path.as_str(), &kind.name(&spec.user));
    Data::from([
        ("UserArn", account.user_arn(spec.path.as_str(), spec.user.as_str())),
        ("UserName", spec.user.to_string()),
        ("AccessKeyId", run.new_key_id().or_else(|| tag(ACCESS_KEY_ID)).unwrap_or_default()),
        ("SetupPolicyArn", arn(Kind::Setup)),
        ("OngoingPolicyArn", arn(Kind::Ongoing)),
        ("SettingsUrl", settings_url(&spec.server, &workspace)),
        ("Workspace", workspace),
        ("Region", spec.region.clone()),
    ])
}
