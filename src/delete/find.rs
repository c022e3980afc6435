//! Finds the resources that this stack owns, even if a person has changed them.

use tokio::time::{Instant, sleep};

use crate::aws::code;
use crate::aws::iam::Account;
use crate::aws::iam::document::Kind;
use crate::error::{Error, is_denied};
use crate::properties::names::{Server, UserName, UserPath, partition_of};
use crate::properties::{Remnant, Spec};
use crate::resource::adopted::Adopted;
use crate::resource::context::Context;
use crate::resource::observe::SeenUser;
use crate::resource::ownership::Owner;
use crate::resource::trust::Workspace;
use crate::tag::{ACCESS_KEY_ID, ADOPTED, FORCE_DISCONNECT, LEASE, PENDING, REGISTERED, SERVER, Tag, WORKSPACE, get};

/// The resources that this stack owns, and what is needed to disconnect its workspace.
pub(crate) struct Owned {
    /// The name of the user, which may not exist.
    pub name: UserName,
    /// The user, if it exists.
    pub user: Option<SeenUser>,
    /// The ARNs of the policies.
    pub policies: Vec<String>,
    /// Whether errors of Coiled are ignored, by the property `ForceDisconnect` or by its tag.
    pub force: bool,
    /// The ARN of the secret with the token, if the properties name one.
    pub token_secret: Option<String>,
    /// The Coiled server, if the properties name a valid one.
    pub server: Option<Server>,
    /// The workspace that the stack names; `None` means the token's default.
    pub workspace: Option<Workspace>,
    /// The properties, if they are valid.
    pub spec: Option<Spec>,
}

impl Owned {
    /// The state to restore. `None` if the user was not adopted, or if a key has been registered since.
    pub(crate) fn adopted(&self) -> Option<Adopted> {
        Adopted::read(&self.user.as_ref()?.user.tags)
    }

    /// Whether Delete keeps the user. If so, its contents cannot block Delete.
    pub(crate) fn keeps_user(&self) -> bool {
        let pending = self.user.as_ref().and_then(|user| get(&user.user.tags, PENDING));
        self.adopted().is_some() && pending.is_none()
    }

    /// Describes for the log what Coiled keeps if it is not asked to disconnect.
    pub(crate) fn kept_at_coiled(&self, tags: &[Tag]) -> String {
        let named = self.workspace.as_ref().map(|workspace| workspace.slug.as_str());
        let slug = named.or_else(|| get(tags, WORKSPACE)).unwrap_or("(the token's default)");
        let server = self.server.as_ref().map(ToString::to_string);
        let server = server.or_else(|| get(tags, SERVER).map(str::to_owned)).unwrap_or_default();
        format!("the AWS credentials of workspace {slug} at {server}")
    }

    /// The tag that a person removed. `None` unless the user itself shows that a key was registered, and the workspace is
    /// certain.
    ///
    /// A Create that does not register a key deletes the user or leaves its lease on the user. So a user that has a key but
    /// no lease was completed by a Create or an Update. The tag is restored together with this run's lease, because once
    /// the user has a lease, another Delete could no longer recognize this state.
    pub(crate) fn lost_record(&self) -> Option<Tag> {
        let seen = self.user.as_ref()?;
        let tags = &seen.user.tags;
        let is_completed = [LEASE, ADOPTED].iter().all(|key| get(tags, key).is_none());
        // By now, the token's default may be another workspace.
        let is_certain = self.workspace.is_some() || get(tags, WORKSPACE).is_some();
        let key = seen.keys.first().filter(|_| is_completed && is_certain && !has_record(tags))?;
        Some(Tag::new(ACCESS_KEY_ID, &key.id))
    }

    /// The user's tags, with the tag that a person removed.
    pub(crate) fn tags(&self) -> Vec<Tag> {
        let tags = self.user.iter().flat_map(|seen| seen.user.tags.iter().cloned());
        tags.chain(self.lost_record()).collect()
    }
}

/// Whether the tags show that a key of this user was registered or may have been.
pub(crate) fn has_record(tags: &[Tag]) -> bool {
    [ACCESS_KEY_ID, PENDING, REGISTERED].iter().any(|key| get(tags, key).is_some())
}

/// Waits for resources if the Create never sent a response, because the Create may still be in Lambda's queue or
/// running its checks. After this Delete's response, CloudFormation deletes the function's role, and nothing could
/// delete resources that appear later.
pub(crate) async fn find_despite_late_create(context: &Context<'_>) -> Result<Option<Owned>, Error> {
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
    let account = account_of_user_sts_or_stack(context, arn).await?;
    let path = owned.as_ref().map(|user| user.user.path.clone());
    let path = path.or_else(|| remnant.path.as_ref().map(|path| UserPath::as_str(path).to_owned()));
    let policies = match path {
        Some(path) => owned_policies(context, &account, &path, &name).await?,
        None => Vec::new(),
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
    let account = account_of_user_sts_or_stack(context, None).await?;
    let Some(path) = path else { return Err(error) };
    if !owned_policies(context, &account, path.as_str(), name).await?.is_empty() {
        return Err(error);
    }
    tracing::warn!(%error, user = %name, "keeping the user of that name: its path is not this stack's");
    Ok(None)
}

/// The account from the user's ARN, otherwise from STS, otherwise from the StackId.
async fn account_of_user_sts_or_stack(context: &Context<'_>, arn: Option<&str>) -> Result<Account, Error> {
    if let Some(account) = arn.and_then(Account::of_arn) {
        return Ok(account);
    }
    let stack = context.envelope.stack();
    let own = context.sdk.region().map(|region| region.as_ref().to_owned());
    let region = own.or_else(|| stack.region.map(str::to_owned)).unwrap_or_default();
    match (context.account(&region).await, stack.account) {
        (Ok(account), _) => Ok(account),
        (Err(error), Some(id)) => {
            tracing::warn!(%error, "STS did not return the account; using the one in the StackId");
            let partition = stack.partition.unwrap_or_else(|| partition_of(&region)).to_owned();
            Ok(Account { partition, id: id.to_owned() })
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
