//! Delete. It disconnects the workspace, then deletes the user's contents, the policies and the user. After a failure,
//! nothing is undone, and the next Delete continues from there. Resources that this stack does not own are kept. A
//! resource that no longer exists is not an error.

mod restore;
mod unrecorded;
mod user;

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::{Instant, sleep};

use crate::aws::iam::Account;
use crate::aws::iam::document::Kind;
use crate::aws::iam::holders::Holder;
use crate::aws::{code, gone_is_fine, is_busy};
use crate::cloudformation::response::Data;
use crate::coiled::Coiled;
use crate::coiled::connection::{Disconnected, Shown};
use crate::error::{Error, Failure, Unreadable, is_denied};
use crate::properties::names::{Server, UserName, UserPath, partition_of};
use crate::properties::{Remnant, Spec};
use crate::resource::adopted::Adopted;
use crate::resource::context::Context;
use crate::resource::observe::SeenUser;
use crate::resource::ownership::Owner;
use crate::resource::record::{Digests, is_ours, would_show};
use crate::resource::trust::{self, Workspace};
use crate::tag::Tag;
use crate::tag::{ACCESS_KEY_ID, ADOPTED, FORCE_DISCONNECT, LEASE, PENDING, REGISTERED, SERVER, WORKSPACE, get};
use restore::restore;

/// The longest wait for Coiled if its errors are ignored, because `ForceDisconnect` is set or nothing has to be
/// disconnected.
const BRIEF: Duration = Duration::from_secs(30);

/// The resources that this stack owns, and how to disconnect.
struct Owned {
    name: UserName,
    user: Option<SeenUser>,
    policies: Vec<String>,
    force: bool,
    token_secret: Option<String>,
    server: Option<Server>,
    /// The workspace that the stack names; `None` means the token's default.
    workspace: Option<Workspace>,
    /// The properties, if they are valid.
    spec: Option<Spec>,
}

impl Owned {
    /// The state to restore. `None` if the user was not adopted, or if a key has been registered since.
    fn adopted(&self) -> Option<Adopted> {
        Adopted::read(&self.user.as_ref()?.user.tags)
    }

    /// Whether Delete keeps the user. If so, its contents cannot block Delete.
    fn keeps_user(&self) -> bool {
        let pending = self.user.as_ref().and_then(|user| get(&user.user.tags, PENDING));
        self.adopted().is_some() && pending.is_none()
    }

    /// Describes for the log what Coiled keeps if it is not asked to disconnect.
    fn kept_at_coiled(&self, tags: &[Tag]) -> String {
        let named = self.workspace.as_ref().map(|workspace| workspace.slug.as_str());
        let slug = named.or_else(|| get(tags, WORKSPACE)).unwrap_or("(the token's default)");
        let server = self.server.as_ref().map(ToString::to_string);
        let server = server.or_else(|| get(tags, SERVER).map(str::to_owned)).unwrap_or_default();
        format!("the AWS credentials of workspace {slug} at {server}")
    }

    /// The steps for the log, in order.
    fn plan(&self) -> String {
        if self.keeps_user() {
            return "acquire the lease > restore the adopted resources".into();
        }
        let user = self.user.as_ref().map(|user| user.user.arn.as_str());
        let first =
            user.map(|_| "acquire the lease > disconnect the workspace > delete the user's contents".to_owned());
        let policies = self.policies.iter().map(|arn| format!("delete policy {arn}"));
        let last = user.map(|arn| format!("delete user {arn}"));
        first.into_iter().chain(policies).chain(last).collect::<Vec<_>>().join(" > ")
    }
}

/// Deletes every resource that this stack owns. Adopted resources are restored instead if the stack never registered a
/// key.
///
/// # Errors
/// The failed step. The next Delete continues from there.
pub async fn run(context: &Context<'_>) -> Result<Data, Failure> {
    let deleted = context.guarded(context.deadlines.work, delete(context)).await;
    if deleted.is_err()
        && let Some(name) = Remnant::read(&context.envelope.properties).user
    {
        // Otherwise the next Delete would wait until this run's lease expires at its deadline.
        let expire_lease = async { context.end_lease(name.as_str(), &context.lease).await.map_err(|error| context.failure(error)) };
        if let Err(failure) = context.guarded(context.deadlines.undo, expire_lease).await {
            tracing::warn!(%failure, "could not expire the lease; it expires at this run's deadline");
        }
    }
    deleted.map(|()| Data::new())
}

async fn delete(context: &Context<'_>) -> Result<(), Failure> {
    let Some(owned) = context.step("find the stack's resources", find_despite_late_create(context)).await? else {
        tracing::info!("this stack owns no resources in the account; Coiled keeps a registration if one exists");
        return Ok(());
    };
    tracing::info!(plan = %owned.plan(), "plan");
    context.step("check for blockers", check_blockers(context, &owned)).await?;
    let (iam, name) = (&context.iam, owned.name.as_str());
    if let Some(user) = &owned.user {
        let record = lost_record(&owned, user);
        let lease = Vec::from_iter(record.iter().cloned().chain([context.lease.tag()]));
        context.note_lease();
        // IAM may still show a user that was just deleted.
        context.step("acquire the lease", async { gone_is_fine(iam.tag_user(name, &lease).await) }).await?;
        let tags = Vec::from_iter(user.user.tags.iter().cloned().chain(record));
        let connection = context.step("disconnect the workspace", disconnect(context, &owned, &tags)).await?;
        if let (Some(adopted), AtCoiled::NotThisStack) = (owned.adopted(), connection) {
            return context.step("restore the adopted resources", restore(context, &user.user, &adopted)).await;
        }
        context.step("delete the user's contents", user::delete_contents(context, &owned.name)).await?;
    } else {
        let report = async {
            unrecorded::report(context, &owned, &[]).await;
            Ok(())
        };
        context.step("look for a connection of the deleted user", report).await?;
    }
    for arn in &owned.policies {
        context.step(&format!("delete policy {arn}"), iam.delete_policy(arn)).await?;
    }
    if let Some(user) = &owned.user {
        context.step(&format!("delete user {}", user.user.arn), user::delete(context, &owned.name)).await?;
    }
    Ok(())
}

/// Waits for resources if the Create never sent a response, because the Create may still be in Lambda's queue or
/// running its checks. After this Delete's response, CloudFormation deletes the function's role, and nothing could
/// delete resources that appear later.
async fn find_despite_late_create(context: &Context<'_>) -> Result<Option<Owned>, Error> {
    let until = context.work_until().min(Instant::now() + context.config.late_create);
    loop {
        let found = find_consistently(context).await?;
        if found.is_some() || context.envelope.was_answered() || Instant::now() + context.config.poll > until {
            return Ok(found);
        }
        tracing::info!("found no resources, but the Create never sent a response and may be late; checking again");
        sleep(context.config.poll).await;
    }
}

/// Searches again if it finds policies but no user. A late Create may have created all three after this run looked for
/// the user.
async fn find_consistently(context: &Context<'_>) -> Result<Option<Owned>, Error> {
    match find(context).await? {
        Some(owned) if owned.user.is_none() => find(context).await,
        found => Ok(found),
    }
}

/// Finds the resources with this stack's ownership tags; `None` if there are none.
async fn find(context: &Context<'_>) -> Result<Option<Owned>, Error> {
    let remnant = Remnant::read(&context.envelope.properties);
    // Ownership tags contain StackId and LogicalResourceId, and a user cannot have a name that IAM rejects. If one of
    // these is missing or invalid, there is nothing to find.
    let (true, Some(name)) = (context.envelope.is_identified(), remnant.user) else { return Ok(None) };
    let user = accessible_user(context, remnant.path.as_ref(), &name).await?;
    let (owned, other) = match user {
        Some(user) if user.owner == Owner::Ours => (Some(user), None),
        other => (None, other),
    };
    if let Some(other) = &other {
        tracing::warn!(arn = %other.user.arn, "keeping the user of that name: this stack does not own it");
    }
    let arn = owned.as_ref().or(other.as_ref()).map(|user| user.user.arn.as_str());
    let account = account(context, arn).await?;
    let path = owned.as_ref().map(|user| user.user.path.clone());
    let path = path.or_else(|| remnant.path.as_ref().map(|path| UserPath::as_str(path).to_owned()));
    let policies = match (account, path) {
        (Some(account), Some(path)) => owned_policies(context, &account, &path, &name).await?,
        _ => Vec::new(),
    };
    if owned.is_none() && policies.is_empty() {
        return Ok(None);
    }
    let tagged = owned.as_ref().and_then(|user| get(&user.user.tags, FORCE_DISCONNECT)) == Some("true");
    let physical_id = context.envelope.physical_resource_id();
    Ok(Some(Owned {
        name,
        user: owned,
        policies,
        force: remnant.force_disconnect || tagged,
        token_secret: remnant.token_secret,
        server: remnant.server,
        workspace: Workspace::named(remnant.workspace.as_deref(), physical_id.workspace()),
        spec: context.read_spec(&context.envelope.properties).ok(),
    }))
}

/// The user with this name. `None` if it does not exist or has a path that the function's role cannot access.
///
/// IAM finds a user by its name alone, and then authorizes against its full ARN. If access to the user is denied, the
/// role looks up this stack's policies. If it can do that and they do not exist, the user has another path, and this
/// stack does not own it.
async fn accessible_user(
    context: &Context<'_>,
    path: Option<&UserPath>,
    name: &UserName,
) -> Result<Option<SeenUser>, Error> {
    let error = match context.user_at_rest(name).await {
        Err(error) if code(&error).is_some_and(is_denied) => error,
        seen => return seen,
    };
    let (Some(account), Some(path)) = (account(context, None).await?, path) else { return Err(error) };
    if !owned_policies(context, &account, path.as_str(), name).await?.is_empty() {
        return Err(error);
    }
    tracing::warn!(%error, user = %name, "keeping the user of that name: its path is not this stack's");
    Ok(None)
}

/// The account from the user's ARN, otherwise from STS, otherwise from the StackId.
async fn account(context: &Context<'_>, arn: Option<&str>) -> Result<Option<Account>, Error> {
    if let Some(account) = arn.and_then(Account::of_arn) {
        return Ok(Some(account));
    }
    let stack = context.envelope.stack();
    let own = context.sdk.region().map(|region| region.as_ref().to_owned());
    let region = own.or_else(|| stack.region.map(str::to_owned)).unwrap_or_default();
    match (context.account(&region).await, stack.account) {
        (Ok(account), _) => Ok(Some(account)),
        (Err(error), Some(id)) => {
            tracing::warn!(%error, "STS did not return the account; using the one in the StackId");
            let partition = stack.partition.unwrap_or_else(|| partition_of(&region)).to_owned();
            Ok(Some(Account { partition, id: id.to_owned() }))
        }
        (Err(error), None) => Err(error),
    }
}

async fn owned_policies(
    context: &Context<'_>,
    account: &Account,
    path: &str,
    name: &UserName,
) -> Result<Vec<String>, Error> {
    let mut owned = Vec::new();
    for kind in Kind::ALL {
        let arn = account.policy_arn(path, &kind.name(name));
        match context.iam.policy_tags(&arn).await? {
            Some(tags) if context.ownership.owner(&tags) == Owner::Ours => owned.push(arn),
            Some(_) => tracing::warn!(%arn, "keeping this policy, because this stack does not own it"),
            None => {}
        }
    }
    Ok(owned)
}

/// Fails before the first deletion if the user is in a group or a policy is attached to another identity, because this
/// function's role does not have permission to change that.
async fn check_blockers(context: &Context<'_>, owned: &Owned) -> Result<(), Error> {
    let name = owned.name.as_str();
    let mut found = match owned.user.is_some() && !owned.keeps_user() {
        true => user::groups(context, &owned.name).await?,
        false => Vec::new(),
    };
    let deleted = if owned.keeps_user() { &[] } else { owned.policies.as_slice() };
    for arn in deleted {
        let holders = context.iam.holders(arn).await?.into_iter().chain(bounds_its_own_user(owned, arn));
        let others = holders.filter(|holder| owned.user.is_none() || !holder.is_user(name) || holder.is_bounded());
        found.extend(others.map(|holder| blocker(context, owned, arn, &holder)));
    }
    // IAM may list an entity twice, and the boundary of the stack's own user comes from two calls.
    let mut listed = BTreeSet::new();
    found.retain(|blocker| listed.insert(blocker.clone()));
    if found.is_empty() { Ok(()) } else { Err(Error::Blocked(found)) }
}

/// Whether a person has set one of the stack's policies as the boundary of the stack's own user. Policies are deleted
/// before the user, and the function's role may lack the permission to delete a boundary.
fn bounds_its_own_user(owned: &Owned, arn: &str) -> Option<Holder> {
    let user = owned.user.as_ref().filter(|seen| seen.user.boundary.as_deref() == Some(arn))?;
    Some(Holder::boundary_of_user(&user.user.name))
}

fn blocker(context: &Context<'_>, owned: &Owned, arn: &str, holder: &Holder) -> String {
    let command = holder.command(arn);
    if owned.user.is_none() && holder.is_user(owned.name.as_str()) {
        let tags = context.ownership.as_arguments();
        return format!(
            "policy {arn} is {holder}, which lacks this stack's ownership tags. To keep the user: {command}. To delete it \
             too: aws iam tag-user --user-name {} --tags {tags}",
            owned.name
        );
    }
    format!("policy {arn} is {holder}: {command}")
}

/// Whether the workspace's connection belonged to this stack before [`disconnect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtCoiled {
    /// This stack never registered a key, or the connection is not its own. Coiled does not hold a key of this stack.
    NotThisStack,
    /// This stack registered a key. Coiled may still hold that key if the workspace could not be disconnected.
    ThisStack,
}

/// Disconnects the workspace if its connection belongs to this stack.
async fn disconnect(context: &Context<'_>, owned: &Owned, tags: &[Tag]) -> Result<AtCoiled, Error> {
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

/// The server in the properties, and the token. Fails if the function was not deployed for them. `is_brief` limits the
/// wait for the token.
async fn server_and_token<'o>(
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
async fn workspace(coiled: &Coiled, owned: &Owned, tags: &[Tag]) -> Result<String, Error> {
    let workspace = match &owned.workspace {
        Some(named) => named.clone(),
        None => Workspace::of_token(coiled.workspace(None).await?),
    };
    workspace.check_tag(owned.name.as_str(), tags)?;
    Ok(workspace.slug)
}

/// Whether the tags show that a key of this user was registered or may have been.
fn has_record(tags: &[Tag]) -> bool {
    [ACCESS_KEY_ID, PENDING, REGISTERED].iter().any(|key| get(tags, key).is_some())
}

/// The tag that a person removed. `None` unless the user itself shows that a key was registered, and the workspace is
/// certain.
///
/// A Create that does not register a key deletes the user or leaves its lease on the user. So a user that has a key but
/// no lease was completed by a Create or an Update. The tag is restored together with this run's lease, because once
/// the user has a lease, another Delete could no longer recognize this state.
fn lost_record(owned: &Owned, seen: &SeenUser) -> Option<Tag> {
    let tags = &seen.user.tags;
    let is_completed = [LEASE, ADOPTED].iter().all(|key| get(tags, key).is_none());
    // By now, the token's default may be another workspace.
    let is_certain = owned.workspace.is_some() || get(tags, WORKSPACE).is_some();
    let key = seen.keys.first().filter(|_| is_completed && is_certain && !has_record(tags))?;
    Some(Tag::new(ACCESS_KEY_ID, &key.id))
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
    if shown.is_connected() && !is_ours(tags, &shown) && !lost_its_record(owned, tags, &shown) {
        tracing::warn!(workspace, shown = %shown.describe(), "keeping a connection that this stack did not create");
        return Ok(AtCoiled::NotThisStack);
    }
    match coiled.disconnect(workspace, owned.force).await? {
        Disconnected::Now => tracing::info!(workspace, "disconnected the workspace"),
        Disconnected::Already => tracing::info!(workspace, "the workspace was already disconnected"),
    }
    Ok(AtCoiled::ThisStack)
}

/// When requests to Coiled must end. At least half of the work time is left for AWS.
fn coiled_deadline(context: &Context<'_>, is_brief: bool) -> Instant {
    let now = Instant::now();
    let half = context.deadlines.work.saturating_duration_since(now) / 2;
    now + if is_brief { half.min(BRIEF) } else { half }
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
