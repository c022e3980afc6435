//! Executes a plan. A step that can be undone adds its undo to the journal before its first call, because a call that
//! times out may have worked.

mod key;
mod user;

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::aws::code;
use crate::aws::iam::document::Kind;
use crate::aws::iam::keys::NewKey;
use crate::aws::sts::Working;
use crate::coiled::connection::Shown;
use crate::coiled::registration::Message;
use crate::coiled::socket::Socket;
use crate::error::{Error, Failure};
use crate::lock::locked;
use crate::reconcile::plan::{Flow, Step};
use crate::reconcile::undo::{Journal, Undo};
use crate::reconcile::{Link, Prepared};
use crate::resource::context::Context;
use crate::resource::observe::{self, SeenUser};
use crate::resource::ownership::Owner;
use crate::resource::record::{Digests, held_key};
use crate::tag::Tag;
use crate::tag::{ACCESS_KEY_ID, ADOPTED, PENDING, PENDING_REGION, REGISTERED};
use crate::tag::{LEASE, WORKSPACE, get};

/// The outcome of the registration, as far as this run knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Coiled never received the key.
    NotSent,
    /// Coiled rejected the registration. It may still have stored the key in order to check it.
    Rejected,
    /// The key was sent, but no final response arrived.
    Unknown,
    /// Coiled confirmed the registration.
    Registered,
}

/// The execution of one plan.
#[derive(Debug)]
pub struct Run<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) prepared: &'a Prepared,
    pub(crate) journal: &'a Journal,
    key: Mutex<Option<NewKey>>,
    working: Mutex<Option<Working>>,
    socket: Mutex<Option<Socket>>,
    shown: Mutex<Option<Shown>>,
    pub(crate) sent: AtomicBool,
    /// When the last response to CreateAccessKey was lost. If the call worked, nobody has the new key's secret.
    lost_key_at: Mutex<Option<Instant>>,
    resolved: Mutex<Option<Outcome>>,
    /// Set when a step in a parallel lane fails, because waiting for the key is then pointless.
    failed: watch::Sender<bool>,
    /// Set when another run takes over the user between this run's checks and its CreateUser or lease.
    overtaken: AtomicBool,
}

type Work<'w> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'w>>;

impl<'a> Run<'a> {
    /// A run that has not executed any step.
    pub fn new(context: &'a Context<'a>, prepared: &'a Prepared, journal: &'a Journal) -> Self {
        Self {
            context,
            prepared,
            journal,
            key: Mutex::default(),
            working: Mutex::default(),
            socket: Mutex::default(),
            shown: Mutex::default(),
            sent: AtomicBool::new(false),
            lost_key_at: Mutex::default(),
            resolved: Mutex::default(),
            failed: watch::Sender::new(false),
            overtaken: AtomicBool::new(false),
        }
    }

    /// Executes a plan.
    ///
    /// # Errors
    /// The failed step. If several parallel steps fail, one failure names them all.
    pub fn execute<'w>(&'w self, flow: &'w Flow) -> Work<'w> {
        Box::pin(async move {
            match flow {
                Flow::Step(step) => self.step(step).await,
                Flow::InOrder(flows) => {
                    for flow in flows {
                        self.execute(flow).await?;
                    }
                    Ok(())
                }
                // Every lane ends before a failure is returned. Otherwise a call could take effect after its undo.
                Flow::InParallel(flows) => merge(join_all(flows.iter().map(|flow| self.execute(flow))).await),
            }
        })
    }

    async fn step(&self, step: &Step) -> Result<(), Failure> {
        let result = self.context.step(&step.to_string(), self.act(step)).await;
        if result.is_err() {
            self.failed.send_replace(true);
        }
        result
    }

    async fn act(&self, step: &Step) -> Result<(), Error> {
        let iam = &self.context.iam;
        let user = self.user();
        match step {
            Step::CreateUser => {
                self.create_user().await?;
                self.journal.confirm(Undo::User);
                Ok(())
            }
            Step::AdoptUser => self.adopt_user().await,
            Step::ReclaimUser => self.reclaim_user().await,
            Step::AcquireLease => self.claim(&[self.context.lease_tag()]).await,
            Step::UntagUser(keys) => iam.untag_user(user, keys).await,
            Step::TagUser(tags) => iam.tag_user(user, tags).await,
            Step::PutBoundary(arn) => {
                self.note_boundary();
                iam.put_boundary(user, arn).await
            }
            Step::DeleteBoundary => {
                self.note_boundary();
                iam.delete_boundary(user).await
            }
            Step::CreatePolicy(kind) => {
                self.create_policy(*kind).await?;
                self.journal.confirm(Undo::Policy(*kind));
                Ok(())
            }
            Step::PutDocument(kind) => self.put_document(*kind).await,
            Step::UntagPolicy(kind, keys) => iam.untag_policy(&self.arn(*kind), keys).await,
            Step::TagPolicy(kind, tags) => self.tag_policy(*kind, tags).await,
            Step::Attach(kind) => {
                self.journal.note(Undo::Attachment(*kind));
                iam.attach(user, &self.arn(*kind)).await?;
                self.journal.confirm(Undo::Attachment(*kind));
                Ok(())
            }
            Step::Detach(kind) => {
                self.journal.note(Undo::Detachment(*kind));
                iam.detach(user, &self.arn(*kind)).await
            }
            Step::FreeKeySlot(candidates) => self.free_key_slot(candidates).await,
            Step::CreateKey => self.create_key().await,
            Step::WaitForKey => self.wait_for_key().await,
            Step::TagPending => self.tag_pending().await,
            Step::OpenSocket => self.open_socket().await,
            Step::ConfirmKey => self.confirm_key().await,
            Step::CheckLease => self.context.holds_lease(user).await,
            Step::Register => self.register().await,
            Step::ReadBack => self.read_back().await,
            Step::Verify => self.verify().await,
            Step::Record => self.record().await,
            Step::DeleteKeys(keys) => self.delete_keys(keys).await,
            Step::ReleaseLease { pending } => self.release_lease(*pending).await,
        }
    }

    /// The IAM user's name.
    pub(crate) fn user(&self) -> &str {
        self.prepared.spec.user.as_str()
    }

    /// The ARN of one of the user's two policies, even before it exists.
    pub(crate) fn arn(&self, kind: Kind) -> String {
        let spec = &self.prepared.spec;
        self.prepared.account.policy_arn(spec.path.as_str(), &kind.name(&spec.user))
    }

    /// The link to Coiled. Only plans that register a key contain steps that need it.
    pub(crate) fn link(&self) -> Result<&Link, Error> {
        self.prepared.link.as_ref().ok_or_else(|| Error::Internal("the plan has no link to Coiled".into()))
    }

    pub(crate) fn key(&self) -> Result<NewKey, Error> {
        locked(&self.key).clone().ok_or_else(|| Error::Internal("the plan has no new key".into()))
    }

    /// The ID of the key that this run created, if it got that far.
    pub fn new_key_id(&self) -> Option<String> {
        locked(&self.key).as_ref().map(|key| key.id.clone())
    }

    /// Whether another run of this stack took over the user first. In that case, this run has not changed anything.
    pub fn was_overtaken(&self) -> bool {
        self.overtaken.load(Ordering::SeqCst)
    }

    /// The outcome of the registration, as far as this run knows.
    pub fn outcome(&self) -> Outcome {
        let unresolved = if self.sent.load(Ordering::SeqCst) { Outcome::Unknown } else { Outcome::NotSent };
        locked(&self.resolved).unwrap_or(unresolved)
    }

    fn note_boundary(&self) {
        let before = self.prepared.observed.user.as_ref().and_then(|seen| seen.user.boundary.clone());
        self.journal.note(Undo::Boundary(before));
    }

    async fn create_policy(&self, kind: Kind) -> Result<(), Error> {
        let spec = &self.prepared.spec;
        let tags = self.context.ownership.for_policy(spec);
        self.journal.note(Undo::Policy(kind));
        let (iam, arn) = (&self.context.iam, self.arn(kind));
        let until = Instant::now() + self.context.config.consistency;
        loop {
            let created = iam.create_policy(spec.path.as_str(), &kind.name(&spec.user), kind.document(), &tags).await;
            match created {
                Err(error) if code(&error) == Some("EntityAlreadyExists") => {}
                other => return other,
            }
            match iam.policy_tags(&arn).await? {
                Some(tags) if self.context.ownership.owner(&tags) == Owner::Ours => return Ok(()),
                Some(_) => return Err(Error::Foreign { what: format!("policy {arn}") }),
                None => self.wait_for_name(format!("policy {arn} (its path or case may differ)"), until).await?,
            }
        }
    }

    async fn put_document(&self, kind: Kind) -> Result<(), Error> {
        let before = self.prepared.observed.policies.get(&kind).map(|policy| policy.version.clone());
        self.journal.note(Undo::Document(kind, before.unwrap_or_default()));
        let version = self.context.iam.put_document(&self.arn(kind), kind.document()).await?;
        tracing::info!(policy = %self.arn(kind), version, "new default version");
        Ok(())
    }

    async fn tag_policy(&self, kind: Kind, tags: &[Tag]) -> Result<(), Error> {
        let seen = self.prepared.observed.policies.get(&kind);
        if seen.is_some_and(|policy| self.context.ownership.owner(&policy.tags) != Owner::Ours) {
            self.journal.note(Undo::PolicyTags(kind));
        }
        self.context.iam.tag_policy(&self.arn(kind), tags).await
    }

    async fn tag_pending(&self) -> Result<(), Error> {
        let before = self.prepared.observed.owned().map(|seen| seen.user.tags.clone()).unwrap_or_default();
        let before = before.into_iter().filter(|tag| [PENDING, PENDING_REGION].contains(&tag.key.as_str()));
        self.journal.note(Undo::Pending(before.collect()));
        let mut tags = vec![Tag::new(PENDING, self.key()?.id), Tag::new(PENDING_REGION, &self.prepared.spec.region)];
        tags.extend(self.resolved_pending_key());
        self.context.iam.tag_user(self.user(), &tags).await
    }

    /// The tags that record the previous pending key as active, if Coiled holds it. There is only one pending tag. If
    /// it were overwritten without this record, no tag would show that the connection belongs to this stack.
    fn resolved_pending_key(&self) -> Vec<Tag> {
        let (Some(seen), Some(link)) = (self.prepared.observed.owned(), &self.prepared.link) else { return Vec::new() };
        let pending = get(&seen.user.tags, PENDING);
        match held_key(&seen.user.tags, &link.before) {
            Some(held) if pending == Some(held) => {
                let digests = Digests::of_unknown(&link.before);
                vec![Tag::new(ACCESS_KEY_ID, held), Tag::new(REGISTERED, digests.tag_value())]
            }
            _ => Vec::new(),
        }
    }

    async fn open_socket(&self) -> Result<(), Error> {
        let link = self.link()?;
        let open = locked(&link.socket).take();
        let socket = match open {
            Some(socket) => socket,
            None => link.coiled.open(&link.workspace).await?,
        };
        *locked(&self.socket) = Some(socket);
        Ok(())
    }

    async fn register(&self) -> Result<(), Error> {
        let link = self.link()?;
        let request_id = &self.context.envelope.request_id;
        let physical_id = self.context.envelope.physical_resource_id();
        let ids = (physical_id.plain(), request_id.as_str());
        let key = self.key()?;
        let message = Message::new(&self.prepared.spec, &key, link.hub_token.as_ref(), ids);
        self.journal.note(Undo::Registration);
        let socket = locked(&self.socket).take();
        let coiled = link.coiled.paced(link.coiled.pace().ending(self.context.work_until()));
        let result = coiled.register(&link.workspace, &message, socket, &self.sent).await;
        *locked(&self.resolved) = match &result {
            Ok(()) => Some(Outcome::Registered),
            Err(Error::Rejected(_)) => Some(Outcome::Rejected),
            Err(_) => None,
        };
        result.map_err(|error| self.with_advice(error))
    }

    /// Adds advice if the setup policy is detached. Coiled then most likely rejected the registration because
    /// permissions were missing.
    fn with_advice(&self, error: Error) -> Error {
        match error {
            Error::Rejected(words) if !self.prepared.spec.attach_setup => Error::Rejected(format!(
                "{words} (Coiled may need the setup policy, which is detached: set AttachSetupPolicy to true)"
            )),
            other => other,
        }
    }

    /// Checks that Coiled shows an AWS connection for the workspace, because FINISHED alone does not prove success.
    async fn read_back(&self) -> Result<(), Error> {
        let link = self.link()?;
        // The key is registered, so this request may use all of the remaining work time.
        let coiled = link.coiled.paced(link.coiled.pace().ending(self.context.deadlines.work));
        let shown = coiled.shown(&link.workspace).await?;
        if !shown.is_connected() {
            return Err(Error::Unconfirmed(format!(
                "Coiled reported success, but shows workspace {} as not connected ({})",
                link.workspace,
                shown.describe()
            )));
        }
        *locked(&self.shown) = Some(shown);
        Ok(())
    }

    /// Checks that IAM shows this run's changes. Repeats the check until the consistency timeout, because IAM may show
    /// new resources late.
    async fn verify(&self) -> Result<(), Error> {
        let until = Instant::now() + self.context.config.consistency;
        loop {
            let seen = observe::user(&self.context.iam, &self.context.ownership, &self.prepared.spec.user).await?;
            let shows_lease = |seen: &SeenUser| self.context.shows_lease(&seen.user.tags, until);
            let holds_lease = seen.as_ref().map(shows_lease).transpose()?.unwrap_or_default();
            let missing = self.missing(seen)?;
            if holds_lease && missing.is_empty() {
                // IAM shows the new key, so by now it also shows an earlier key whose secret was lost.
                return self.delete_lost_key().await;
            }
            if !missing.is_empty() && Instant::now() + self.context.config.poll > until {
                return Err(Error::Unconfirmed(format!("IAM does not list {}", missing.join(", "))));
            }
            sleep(self.context.config.poll).await;
        }
    }

    fn missing(&self, seen: Option<SeenUser>) -> Result<Vec<String>, Error> {
        let attached = seen.as_ref().map(|seen| seen.attached.clone()).unwrap_or_default();
        let wanted = Kind::ALL.into_iter().filter(|kind| kind.is_attached_by(&self.prepared.spec));
        let policies = wanted.map(|kind| self.arn(kind)).filter(|arn| !attached.contains(arn));
        let id = self.key()?.id;
        let key_exists = seen.is_some_and(|seen| seen.keys.iter().any(|key| key.id == id && key.active));
        Ok(policies.chain((!key_exists).then_some(format!("key {id}"))).collect())
    }

    async fn record(&self) -> Result<(), Error> {
        let shown = locked(&self.shown).clone().ok_or_else(|| Error::Internal("no connection was read back".into()))?;
        let digests = Digests::new(&self.prepared.spec, &shown);
        let mut tags = vec![Tag::new(ACCESS_KEY_ID, self.key()?.id), Tag::new(REGISTERED, digests.tag_value())];
        let seen = self.prepared.observed.owned();
        if seen.is_some_and(|seen| get(&seen.user.tags, WORKSPACE).is_none()) {
            tags.push(Tag::new(WORKSPACE, &self.link()?.workspace));
        }
        self.context.iam.tag_user(self.user(), &tags).await
    }

    pub(crate) async fn release_lease(&self, pending: bool) -> Result<(), Error> {
        let keys = if pending { vec![LEASE, PENDING, PENDING_REGION, ADOPTED] } else { vec![LEASE] };
        let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
        self.context.iam.untag_user(self.user(), &keys).await
    }
}

/// Merges the failures of parallel lanes into one.
fn merge(results: Vec<Result<(), Failure>>) -> Result<(), Failure> {
    let failures: Vec<Failure> = results.into_iter().filter_map(Result::err).collect();
    let steps = failures.iter().map(|failure| failure.step.as_str()).collect::<Vec<_>>().join(", ");
    match Error::all(failures.iter().map(|failure| failure.error.clone()).collect()) {
        Some(error) => Err(Failure::at(steps, error)),
        None => Ok(()),
    }
}
