//! Delete: forward only. Deregister, then keys, what else is in the user, policies, user. What is not ours stays, and
//! what is gone already is fine.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::aws::{code, gone_is_fine};
use crate::coiled::connection::Disconnected;
use crate::coiled::registration::is_ours;
use crate::context::Context;
use crate::error::{Error, Failure, Unreadable, is_denied};
use crate::iam::Account;
use crate::iam::adopted::Adopted;
use crate::iam::document::Kind;
use crate::iam::tags::{ACCESS_KEY_ID, FORCE_DISCONNECT, Owner, PENDING, SERVER, WORKSPACE, get};
use crate::observe::SeenUser;
use crate::properties::Remnant;
use crate::properties::names::{Server, UserName, UserPath, partition_of};
use crate::properties::tags::Tag;
use crate::response::Data;
use crate::restore::restore;

/// With a forced disconnect nobody waits for a Coiled that does not answer.
const FORCED_PATIENCE: Duration = Duration::from_secs(30);

/// What of this stack is there.
struct Ours {
    name: UserName,
    user: Option<SeenUser>,
    policies: Vec<String>,
    force: bool,
    token_secret: Option<String>,
    server: Option<Server>,
}

impl Ours {
    /// What an adoption that never registered a key would have to give back.
    fn adopted(&self) -> Option<Adopted> {
        Adopted::read(&self.user.as_ref()?.user.tags)
    }

    /// Whether the user stays: nothing in it stands in the way then.
    fn keeps_user(&self) -> bool {
        let pending = self.user.as_ref().and_then(|user| get(&user.user.tags, PENDING));
        self.adopted().is_some() && pending.is_none()
    }

    /// For the log: what is going to happen, in order.
    fn plan(&self) -> String {
        if self.keeps_user() {
            return "take lease > give back what was adopted".into();
        }
        let user = self.user.as_ref().map(|user| user.user.arn.as_str());
        let first = user.map(|_| "take lease > disconnect > empty the user".to_owned());
        let policies = self.policies.iter().map(|arn| format!("delete policy {arn}"));
        let last = user.map(|arn| format!("delete user {arn}"));
        first.into_iter().chain(policies).chain(last).collect::<Vec<_>>().join(" > ")
    }
}

/// Removes what this stack made.
pub async fn run(context: &Context<'_>) -> Result<Data, Failure> {
    let removed = context.guarded(context.deadlines.work, remove(context)).await;
    if removed.is_err()
        && let Some(name) = Remnant::read(&context.envelope.properties).user
    {
        // The next Delete need not wait for the end of this one's time.
        let given_back = async { context.end_lease(name.as_str()).await.map_err(|error| context.failure(error)) };
        if let Err(failure) = context.guarded(context.deadlines.undo, given_back).await {
            tracing::warn!(%failure, "the lease stays until its time is over");
        }
    }
    removed.map(|()| Data::new())
}

async fn remove(context: &Context<'_>) -> Result<(), Failure> {
    let Some(ours) = context.step("look", look_also_for_a_late_create(context)).await? else {
        tracing::info!("nothing of this stack is there; what it registered, if it did, stays at Coiled");
        return Ok(());
    };
    tracing::info!(plan = %ours.plan(), "plan");
    context.step("check what is in the way", blockers(context, &ours)).await?;
    let (iam, name) = (&context.iam, ours.name.as_str());
    if let Some(user) = &ours.user {
        // One that was removed a moment ago may be shown a while longer.
        context.step("take lease", async { gone_is_fine(iam.tag_user(name, &[context.lease_tag()]).await) }).await?;
        let connection = context.step("disconnect", disconnect(context, &ours, &user.user.tags)).await?;
        if let (Some(adopted), AtCoiled::NotOurs) = (ours.adopted(), connection) {
            return context.step("give back", restore(context, &user.user, &adopted)).await;
        }
        context.step("empty the user", empty(context, &ours.name)).await?;
    }
    for arn in &ours.policies {
        context.step(&format!("delete policy {arn}"), iam.delete_policy(arn)).await?;
    }
    if let Some(user) = &ours.user {
        context.step(&format!("delete user {}", user.user.arn), iam.delete_user(name)).await?;
    }
    Ok(())
}

/// A Create that never answered may still be in Lambda's queue, or at its checks, before which it makes nothing that could
/// be found. Once this Delete has answered, the stack removes the function's rights: nobody could clean up any more.
async fn look_also_for_a_late_create(context: &Context<'_>) -> Result<Option<Ours>, Error> {
    let until = context.work_until().min(Instant::now() + context.config.late_create);
    loop {
        let found = look_twice(context).await?;
        if found.is_some() || context.envelope.was_answered() || Instant::now() + context.config.poll > until {
            return Ok(found);
        }
        tracing::info!("nothing is there, and no Create has ever answered: it may be late, so this looks again");
        sleep(context.config.poll).await;
    }
}

/// Policies without their user may be those of a Create that has made all three since this run looked for the user.
async fn look_twice(context: &Context<'_>) -> Result<Option<Ours>, Error> {
    match look(context).await? {
        Some(ours) if ours.user.is_none() => look(context).await,
        found => Ok(found),
    }
}

/// Finds what carries our marks; `None` where nothing does, or nothing ever could.
async fn look(context: &Context<'_>) -> Result<Option<Ours>, Error> {
    let remnant = Remnant::read(&context.envelope.properties);
    // Without StackId and LogicalResourceId nothing carries our marks; no user has a name that IAM does not take.
    let (true, Some(name)) = (context.envelope.is_identified(), remnant.user) else { return Ok(None) };
    let user = user_within_reach(context, remnant.path.as_ref(), &name).await?;
    let (ours, other) = match user {
        Some(user) if user.owner == Owner::Ours => (Some(user), None),
        other => (None, other),
    };
    if let Some(other) = &other {
        tracing::warn!(arn = %other.user.arn, "a user of that name is not this stack's, and stays");
    }
    let arn = ours.as_ref().or(other.as_ref()).map(|user| user.user.arn.as_str());
    let account = account(context, arn).await?;
    let path = ours.as_ref().map(|user| user.user.path.clone());
    let path = path.or_else(|| remnant.path.as_ref().map(|path| UserPath::as_str(path).to_owned()));
    let policies = match (account, path) {
        (Some(account), Some(path)) => our_policies(context, &account, &path, &name).await?,
        _ => Vec::new(),
    };
    if ours.is_none() && policies.is_empty() {
        return Ok(None);
    }
    let tagged = ours.as_ref().and_then(|user| get(&user.user.tags, FORCE_DISCONNECT)) == Some("true");
    Ok(Some(Ours {
        name,
        user: ours,
        policies,
        force: remnant.force_disconnect || tagged,
        token_secret: remnant.token_secret,
        server: remnant.server,
    }))
}

/// The user of that name, unless it is where this role does not reach.
///
/// IAM finds a user by its name alone, and then asks for the right to where it is. So a refusal that lasts, while our
/// policies can be looked for and aren't there, is about somebody else's user under another path.
async fn user_within_reach(
    context: &Context<'_>,
    path: Option<&UserPath>,
    name: &UserName,
) -> Result<Option<SeenUser>, Error> {
    let error = match context.user_at_rest(name).await {
        Err(error) if code(&error).is_some_and(is_denied) => error,
        seen => return seen,
    };
    let (Some(account), Some(path)) = (account(context, None).await?, path) else { return Err(error) };
    if !our_policies(context, &account, path.as_str(), name).await?.is_empty() {
        return Err(error);
    }
    tracing::warn!(%error, user = %name, "a user of that name is under another path, so not this stack's, and stays");
    Ok(None)
}

/// The account: a user's ARN says it, else STS, else the StackId.
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
            tracing::warn!(%error, "the account is taken from the StackId");
            let partition = stack.partition.unwrap_or_else(|| partition_of(&region)).to_owned();
            Ok(Some(Account { partition, id: id.to_owned() }))
        }
        (Err(error), None) => Err(error),
    }
}

async fn our_policies(
    context: &Context<'_>,
    account: &Account,
    path: &str,
    name: &UserName,
) -> Result<Vec<String>, Error> {
    let mut ours = Vec::new();
    for kind in Kind::ALL {
        let arn = account.policy_arn(path, &kind.name(name));
        match context.iam.policy_tags(&arn).await? {
            Some(tags) if context.ownership.owner(&tags) == Owner::Ours => ours.push(arn),
            Some(_) => tracing::warn!(%arn, "a policy of that name is not this stack's, and stays"),
            None => {}
        }
    }
    Ok(ours)
}

/// What only a person can undo is found before anything is removed.
async fn blockers(context: &Context<'_>, ours: &Ours) -> Result<(), Error> {
    let name = ours.name.as_str();
    let mut found = Vec::new();
    if ours.user.is_some() && !ours.keeps_user() {
        for group in context.iam.groups(name).await? {
            found.push(format!(
                "user {name} is in group {group}: aws iam remove-user-from-group --user-name {name} --group-name {group}"
            ));
        }
    }
    let own = if ours.user.is_some() { name } else { "" };
    let removed = if ours.keeps_user() { &[] } else { ours.policies.as_slice() };
    for arn in removed {
        for holder in context.iam.other_holders(arn, own).await? {
            found.push(format!("policy {arn} is attached to {holder}: {}", detach_command(arn, &holder)));
        }
    }
    if found.is_empty() { Ok(()) } else { Err(Error::Blocked(found)) }
}

fn detach_command(arn: &str, holder: &str) -> String {
    let (kind, name) = holder.split_once('/').unwrap_or(("user", holder));
    format!("aws iam detach-{kind}-policy --{kind}-name {name} --policy-arn {arn}")
}

/// Removes everything in the user, having listed it in the log: a person may have put it there.
async fn empty(context: &Context<'_>, name: &UserName) -> Result<(), Error> {
    let items = context.iam.contents(name.as_str()).await;
    let list = items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    tracing::info!(user = %name, items = list, "what is in the user goes with it");
    context.iam.remove_all(name.as_str(), &items).await
}

/// What Coiled holds after [`disconnect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtCoiled {
    /// No key of ours, and it never held one.
    NotOurs,
    /// It has forgotten ours; or it may hold it still, where it can't be told to forget it.
    Ours,
}

/// Makes Coiled forget the key, if what it shows is still ours.
async fn disconnect(context: &Context<'_>, ours: &Ours, tags: &[Tag]) -> Result<AtCoiled, Error> {
    if get(tags, ACCESS_KEY_ID).is_none() && get(tags, PENDING).is_none() {
        tracing::info!("no key was ever registered; Coiled is not asked");
        return Ok(AtCoiled::NotOurs);
    }
    let server = get(tags, SERVER).and_then(|server| Server::parse(server).ok()).or_else(|| trusted(context, ours));
    let (Some(server), Some(workspace)) = (server, get(tags, WORKSPACE)) else {
        tracing::warn!("the marks of server and workspace are gone; whatever Coiled holds of this user stays there");
        return Ok(AtCoiled::Ours);
    };
    let what_stays = format!("the AWS credentials of workspace {workspace} at {server}");
    let token = match &ours.token_secret {
        Some(secret) => context.token(secret).await,
        None => Err(Error::Request("no secret is named".into())),
    };
    let token = match token {
        Ok(token) => token,
        // The next Delete can read it: so this one does not give Coiled's key up.
        Err(error @ Error::Secret { why: Unreadable::Passing, .. }) if !ours.force => {
            return Err(with_way_out(error, &ours.name));
        }
        Err(error) => {
            tracing::warn!(%error, what_stays, "the token can't be read: Coiled keeps what it has, and its key is removed here");
            return Ok(AtCoiled::Ours);
        }
    };
    let coiled = context.coiled(&server, token, coiled_until(context, ours.force));
    match disconnect_if_ours(&coiled, workspace, tags, ours.force).await {
        Ok(connection) => Ok(connection),
        Err(error @ (Error::Token { .. } | Error::Workspace(_))) => {
            tracing::warn!(%error, what_stays, "Coiled does not let us in: it keeps what it has, and its key is removed here");
            Ok(AtCoiled::Ours)
        }
        Err(error) if ours.force => {
            tracing::warn!(%error, what_stays, "forced: the AWS side goes all the same");
            Ok(AtCoiled::Ours)
        }
        Err(error) => Err(with_way_out(error, &ours.name)),
    }
}

/// The server that the request names, where the function may send its token there.
fn trusted(context: &Context<'_>, ours: &Ours) -> Option<Server> {
    ours.server.clone().filter(|server| context.config.trusts(server))
}

async fn disconnect_if_ours(
    coiled: &crate::coiled::Coiled,
    workspace: &str,
    tags: &[Tag],
    force: bool,
) -> Result<AtCoiled, Error> {
    let shown = coiled.shown(workspace).await?;
    if !shown.is_connected() && get(tags, PENDING).is_none() {
        tracing::info!(workspace, "Coiled shows no connection any more");
        return Ok(AtCoiled::Ours);
    }
    // With an outcome that is unknown, Coiled may still be building, and show it later: so it is told in any case.
    if shown.is_connected() && !is_ours(tags, &shown) {
        tracing::warn!(workspace, shown = %shown.describe(), "Coiled shows a connection that is not this stack's; it stays");
        return Ok(AtCoiled::NotOurs);
    }
    match coiled.disconnect(workspace, force).await? {
        Disconnected::Now => tracing::info!(workspace, "Coiled has forgotten the key"),
        Disconnected::Already => tracing::info!(workspace, "Coiled had forgotten the key already"),
    }
    Ok(AtCoiled::Ours)
}

/// Time has to be left for the AWS side, and for the answer.
fn coiled_until(context: &Context<'_>, force: bool) -> Instant {
    let now = Instant::now();
    let half = context.deadlines.work.saturating_duration_since(now) / 2;
    now + if force { half.min(FORCED_PATIENCE) } else { half }
}

/// A stack whose Delete failed can't be updated: so the way out is a tag, and every such failure names it.
fn with_way_out(error: Error, name: &UserName) -> Error {
    let way_out = format!(
        "To delete the stack all the same, tag the user (aws iam tag-user --user-name {name} --tags \
         Key={FORCE_DISCONNECT},Value=true) and delete it again"
    );
    match error {
        Error::Secret { arn, cause, why } => Error::Secret { arn, cause: format!("{cause}. {way_out}"), why },
        Error::Confirm(words) => Error::Confirm(format!("{words}. {way_out}")),
        Error::Unreachable { call, server, cause } => {
            Error::Unreachable { call, server, cause: format!("{cause}. {way_out}") }
        }
        Error::Coiled { call, status, words } => Error::Coiled { call, status, words: format!("{words}. {way_out}") },
        other => other,
    }
}
