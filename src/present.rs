//! Create and Update: everything that can be refused is refused first, then the plan is carried out.

use std::collections::BTreeMap;
use std::sync::Mutex;

use secrecy::SecretString;

use crate::apply::Run;
use crate::coiled::connection::Shown;
use crate::coiled::registration::{held_key, is_ours};
use crate::coiled::socket::Socket;
use crate::coiled::{Coiled, settings_url};
use crate::context::{Context, locked};
use crate::error::{Error, Failure, InvalidProperty};
use crate::iam::Account;
use crate::iam::document::Kind;
use crate::iam::policy::Policy;
use crate::iam::tags::{ACCESS_KEY_ID, Owner, SERVER, WORKSPACE, get};
use crate::observe::{self, Observed, SeenUser};
use crate::plan::{Registration, Wanted, plan, registration};
use crate::properties::registry::Registry;
use crate::properties::{Remnant, Spec, tags};
use crate::request::RequestType;
use crate::response::Data;
use crate::undo::Journal;

/// The Coiled side of a run that registers a key.
#[derive(Debug)]
pub struct Link {
    /// The server, with the token.
    pub coiled: Coiled,
    /// The workspace's slug.
    pub workspace: String,
    /// What Coiled showed before.
    pub before: Shown,
    /// Docker Hub's token, where that is the registry.
    pub hub_token: Option<SecretString>,
    /// A socket that is open already.
    pub socket: Mutex<Option<Socket>>,
}

/// Everything that was found out before anything is made.
#[derive(Debug)]
pub struct Prepared {
    /// What is wanted.
    pub spec: Spec,
    /// The account that the function is in.
    pub account: Account,
    /// What is there.
    pub observed: Observed,
    /// The way to Coiled, where a key is registered.
    pub link: Option<Link>,
}

/// Makes the connection what the request wants, or leaves things as they were.
pub async fn run(context: &Context<'_>, request: RequestType) -> Result<Data, Failure> {
    loop {
        let journal = Journal::default();
        let prepared = context.guarded(context.deadlines.work, prepare(context, request)).await?;
        let run = Run::new(context, &prepared, &journal);
        let result = context.guarded(context.deadlines.work, carry_out(context, &prepared, &run)).await;
        match result {
            Ok(()) => return Ok(data(&prepared, &run)),
            // The same event may be delivered twice at once. Whichever comes second has made nothing: it looks again,
            // which waits for the end of the first, and gives the same answer.
            Err(failure) if run.was_overtaken() => tracing::info!(%failure, "another run was faster; looking again"),
            Err(failure) => return Err(undo_after_failure(context, request, &run, failure).await),
        }
    }
}

/// After a failure: Create unwinds what it made; Update takes back only a key that Coiled cannot hold.
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
            tracing::error!(%cut_off, "the undo did not end");
            failure.leftovers = run.not_undone();
        }
    }
    failure
}

async fn carry_out(context: &Context<'_>, prepared: &Prepared, run: &Run<'_>) -> Result<(), Failure> {
    let plan = plan(&wanted(context, prepared), &prepared.observed);
    if plan.is_empty() {
        tracing::info!("everything is as it should be");
        return Ok(());
    }
    tracing::info!(plan = %plan, "plan");
    run.carry_out(&plan).await
}

fn wanted<'p>(context: &Context<'_>, prepared: &'p Prepared) -> Wanted<'p> {
    let tagged = prepared.observed.ours().and_then(|seen| get(&seen.user.tags, WORKSPACE));
    let workspace = prepared.link.as_ref().map(|link| link.workspace.as_str()).or(tagged);
    Wanted {
        spec: &prepared.spec,
        tags: context.ownership.for_policy(&prepared.spec),
        user_tags: context.ownership.for_user(&prepared.spec, workspace),
        old_tag_keys: tags::keys_leniently(&context.envelope.old_properties),
        old_boundary: Remnant::read(&context.envelope.old_properties).boundary,
        registers: prepared.link.is_some(),
        held: held(prepared),
    }
}

fn held(prepared: &Prepared) -> Option<&str> {
    held_key(&prepared.observed.ours()?.user.tags, &prepared.link.as_ref()?.before)
}

/// The checks, in two rounds of what is independent; all that fail are named together.
async fn prepare(context: &Context<'_>, request: RequestType) -> Result<Prepared, Failure> {
    context.enter("properties");
    let spec = parse(context).map_err(|error| context.failure(error))?;
    context.enter("preflight");
    check(context, request, spec).await.map_err(|error| context.failure(error))
}

fn parse(context: &Context<'_>) -> Result<Spec, Error> {
    let missing = context.envelope.missing();
    if !missing.is_empty() {
        return Err(Error::Request(format!("{} missing", missing.join(", "))));
    }
    let stack = context.envelope.stack();
    let own_region = context.sdk.region().map(|region| region.as_ref().to_owned()).unwrap_or_default();
    let region = stack.region.unwrap_or(&own_region);
    let partition = stack.partition.unwrap_or_else(|| crate::properties::names::partition_of(region));
    Spec::parse(&context.envelope.properties, region, partition)
}

async fn check(context: &Context<'_>, request: RequestType, spec: Spec) -> Result<Prepared, Error> {
    let (seen, asked) = first_round(context, request, &spec).await?;
    let mut observed = Observed { user: seen, ..Observed::default() };
    if request == RequestType::Update {
        same_identity(context, &spec, observed.user.as_ref())?;
    }
    trusted(context, &spec, observed.user.as_ref())?;
    let standing = registration(&spec, &observed);
    let asked = match asked {
        None if standing != Registration::Current => Some(ask_around(context, &spec).await),
        asked => asked,
    };
    let account = account(context, &spec, observed.user.as_ref(), asked.as_ref()).await;
    let (link, policies) = tokio::join!(
        link_if_needed(context, &spec, observed.user.as_ref(), asked, standing),
        policies(context, &spec, account.as_ref().ok()),
    );
    let mut errors = Vec::from_iter(ownership(&spec, observed.user.as_ref()).err());
    let link = link.map_err(|found| errors.extend(found)).ok().flatten();
    observed.policies = policies.map_err(|error| errors.push(error)).unwrap_or_default();
    errors.extend(foreign_policies(context, &spec, &observed));
    // Where the region was asked for the registration too, its error is among the others already.
    if let Err(error) = &account
        && !errors.contains(error)
    {
        errors.push(error.clone());
    }
    match Error::all(errors) {
        Some(error) => Err(error),
        None => Ok(Prepared { spec, account: account?, observed, link }),
    }
}

/// The user; and what a Create needs nearly always (token and region), and an Update mostly does not.
async fn first_round(
    context: &Context<'_>,
    request: RequestType,
    spec: &Spec,
) -> Result<(Option<SeenUser>, Option<Asked>), Error> {
    if request == RequestType::Update {
        let seen = context.user_at_rest(&spec.user).await;
        // The role has been changed already: a user under the old path can't be looked at any more.
        if seen.is_err() {
            same_identity(context, spec, None)?;
        }
        return Ok((seen?, None));
    }
    let (seen, asked) = tokio::join!(context.user_at_rest(&spec.user), ask_around(context, spec));
    Ok((seen?, Some(asked)))
}

async fn link_if_needed(
    context: &Context<'_>,
    spec: &Spec,
    seen: Option<&SeenUser>,
    asked: Option<Asked>,
    standing: Registration,
) -> Result<Option<Link>, Vec<Error>> {
    match asked {
        Some(asked) if standing != Registration::Current => {
            let link = match link(context, spec, seen, asked).await {
                Ok(link) if standing == Registration::Uncertain => with_socket(link).await,
                other => other,
            };
            current_or(standing, link.map(Some))
        }
        _ => Ok(None),
    }
}

/// Where what stands is good enough, nothing begins before Coiled's other door is known to open too.
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

/// Where only the outcome of a later registration is in doubt, both keys work and what was registered before is what
/// is wanted: then nothing that Coiled says, or does not say, fails the request. A rollback that failed here would
/// leave a stack that can't be updated any more.
fn current_or(standing: Registration, link: Result<Option<Link>, Vec<Error>>) -> Result<Option<Link>, Vec<Error>> {
    match link {
        Err(errors) if standing == Registration::Uncertain => {
            let causes = errors.iter().map(Error::to_string).collect::<Vec<_>>().join("; ");
            tracing::warn!(causes, "which key Coiled holds is still unknown; both stay, and a later run settles it");
            Ok(None)
        }
        other => other,
    }
}

/// What Secrets Manager and STS said.
struct Asked {
    token: Result<SecretString, Error>,
    hub_token: Result<Option<SecretString>, Error>,
    account: Result<Account, Error>,
}

async fn ask_around(context: &Context<'_>, spec: &Spec) -> Asked {
    let hub_token = async {
        match &spec.registry {
            Registry::DockerHub(hub) => context.token(&hub.token_secret).await.map(Some),
            Registry::Ecr => Ok(None),
        }
    };
    let (token, hub_token, account) =
        tokio::join!(context.token(&spec.token_secret), hub_token, context.account(&spec.region));
    Asked { token, hub_token, account }
}

/// The account: from our own user's ARN where there is one, else as STS says.
async fn account(
    context: &Context<'_>,
    spec: &Spec,
    seen: Option<&SeenUser>,
    asked: Option<&Asked>,
) -> Result<Account, Error> {
    let of_user = seen.and_then(|seen| Account::of_arn(&seen.user.arn));
    match (of_user, asked) {
        (Some(account), _) => Ok(account),
        (None, Some(asked)) => asked.account.clone(),
        (None, None) => context.account(&spec.region).await,
    }
}

/// The way to Coiled: which workspace, and that nothing of somebody else's is there.
async fn link(context: &Context<'_>, spec: &Spec, seen: Option<&SeenUser>, asked: Asked) -> Result<Link, Vec<Error>> {
    let (token, hub_token) = match (asked.token, asked.hub_token, asked.account) {
        (Ok(token), Ok(hub_token), Ok(_)) => (token, hub_token),
        (token, hub_token, account) => {
            return Err([token.err(), hub_token.err(), account.err()].into_iter().flatten().collect());
        }
    };
    let coiled = context.coiled(&spec.server, token, context.work_until());
    let ours = seen.filter(|seen| seen.owner == Owner::Ours);
    let tagged = ours.and_then(|seen| get(&seen.user.tags, WORKSPACE));
    let (workspace, before) = look_at_coiled(&coiled, spec, tagged).await.map_err(|error| vec![error])?;
    if before.is_connected() && !spec.adopt && !ours.is_some_and(|seen| is_ours(&seen.user.tags, &before)) {
        return Err(vec![Error::Connected { workspace, shown: before.describe() }]);
    }
    Ok(Link { coiled, workspace, before, hub_token, socket: Mutex::default() })
}

/// The workspace, and what it is connected to. A slug that is known already saves waiting for the one to ask the other.
async fn look_at_coiled(coiled: &Coiled, spec: &Spec, tagged: Option<&str>) -> Result<(String, Shown), Error> {
    if let Some(slug) = tagged {
        return Ok((slug.to_owned(), coiled.shown(slug).await?));
    }
    let named = spec.workspace.as_deref();
    let Some(guess) = named else {
        let slug = coiled.workspace(None).await?;
        let shown = coiled.shown(&slug).await?;
        return Ok((slug, shown));
    };
    let (slug, shown) = tokio::join!(coiled.workspace(named), coiled.shown(guess));
    Ok((slug?, shown?))
}

/// Refuses a user that is not ours and may not become ours.
fn ownership(spec: &Spec, seen: Option<&SeenUser>) -> Result<(), Error> {
    let Some(seen) = seen else { return Ok(()) };
    match seen.owner {
        Owner::Ours => Ok(()),
        Owner::Coiled if spec.adopt && seen.user.name == spec.user.as_str() && seen.user.path == spec.path.as_str() => {
            bounded(spec, seen)
        }
        _ => Err(Error::Foreign { what: seen.user.whose() }),
    }
}

/// Refuses a user that would get a boundary by being adopted: with a boundary given the function's role may put it on, and
/// never take it off, so a Create that failed could not give the user back as it was.
fn bounded(spec: &Spec, seen: &SeenUser) -> Result<(), Error> {
    match &spec.boundary {
        Some(wanted) if seen.user.boundary.as_ref() != Some(wanted) => {
            Err(Error::Unbounded { arn: seen.user.arn.clone(), wanted: wanted.clone() })
        }
        _ => Ok(()),
    }
}

/// Policies without our marks, unless they become ours together with their user.
fn foreign_policies(context: &Context<'_>, spec: &Spec, observed: &Observed) -> Vec<Error> {
    // After a run that died while it adopted, the user is ours already and its policies not yet.
    let owner = observed.user.as_ref().map(|seen| seen.owner);
    let adopts = spec.adopt && matches!(owner, Some(Owner::Coiled | Owner::Ours));
    let is_foreign = |policy: &&Policy| match context.ownership.owner(&policy.tags) {
        Owner::Ours => false,
        Owner::Coiled | Owner::Unmarked => !adopts,
        Owner::AnotherStack => true,
    };
    let foreign = observed.policies.values().filter(is_foreign);
    foreign.map(|policy| Error::Foreign { what: format!("policy {}", policy.arn) }).collect()
}

/// Refuses an Update that changes the identity. The user's marks decide, not what the request says was there before:
/// so the rollback of a refused Update passes.
fn same_identity(context: &Context<'_>, spec: &Spec, seen: Option<&SeenUser>) -> Result<(), Error> {
    let old = Remnant::read(&context.envelope.old_properties);
    let changed = match seen.filter(|seen| seen.owner == Owner::Ours) {
        Some(seen) => {
            let tag = |key| get(&seen.user.tags, key);
            let named = spec.workspace.as_deref();
            vec![
                ("CoiledServer", tag(SERVER).is_some_and(|server| server != spec.server.to_string())),
                ("Workspace", named.is_some() && tag(WORKSPACE).is_some() && tag(WORKSPACE) != named),
                ("UserName", seen.user.name != spec.user.as_str()),
                ("UserPath", seen.user.path != spec.path.as_str()),
            ]
        }
        None => vec![
            ("CoiledServer", old.server.is_some_and(|server| server != spec.server)),
            ("UserName", old.user.is_some_and(|user| user != spec.user)),
            ("UserPath", old.path.is_some_and(|path| path != spec.path)),
        ],
    };
    let changed: Vec<String> = changed.into_iter().filter(|(_, is)| *is).map(|(name, _)| name.to_owned()).collect();
    if changed.is_empty() { Ok(()) } else { Err(Error::Identity(changed)) }
}

/// Refuses a server that the function was not deployed for, before the token goes there: the event may be somebody's own,
/// sent by hand. A user of ours that is registered there vouches for it too: on the way back from an Update that would have
/// changed the server, the function may still have the other one in its environment.
fn trusted(context: &Context<'_>, spec: &Spec, seen: Option<&SeenUser>) -> Result<(), Error> {
    let ours = seen.filter(|seen| seen.owner == Owner::Ours);
    let is_registered_there =
        ours.and_then(|seen| get(&seen.user.tags, SERVER)).is_some_and(|server| server == spec.server.to_string());
    if is_registered_there || context.config.trusts(&spec.server) {
        return Ok(());
    }
    let problem = "is another one than this function's environment names in COILED_SERVER";
    Err(Error::Properties(vec![InvalidProperty::new("CoiledServer", problem)]))
}

/// What `Fn::GetAtt` reads.
fn data(prepared: &Prepared, run: &Run<'_>) -> Data {
    let Prepared { spec, account, observed, link } = prepared;
    let tag = |key| observed.ours().and_then(|seen| get(&seen.user.tags, key)).map(str::to_owned);
    let workspace = link.as_ref().map(|link| link.workspace.clone()).or_else(|| tag(WORKSPACE)).unwrap_or_default();
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
