//! Replaces the key that Coiled holds, or gives Coiled its first one.

use futures_util::future::{join, join3};
use tokio::time::{Instant, sleep};

use super::both;
use crate::aws::iam::document::Kind;
use crate::aws::iam::keys::NewKey;
use crate::aws::sts::Working;
use crate::coiled::connection::Shown;
use crate::coiled::message::Message;
use crate::coiled::socket::Socket;
use crate::error::{Error, Failure};
use crate::reconcile::journal::Outcome;
use crate::reconcile::link::Link;
use crate::reconcile::plan::Replacement;
use crate::reconcile::run::Run;
use crate::reconcile::step::{Change, Part};
use crate::resource::adopted::Adopted;
use crate::resource::observe::{self, SeenUser};
use crate::resource::record::Digests;
use crate::tag::{ACCESS_KEY_ID, PENDING, PENDING_REGION, REGISTERED, Tag};

/// A key that works, is tagged as pending, and can be sent.
struct Ready {
    key: NewKey,
    /// When the key began to work. `None` if another step failed before that.
    working: Option<Working>,
    socket: Socket,
}

impl Run<'_> {
    /// Creates a key and changes the policies in parallel, then registers the key, records it, and deletes the others.
    ///
    /// # Errors
    /// The failed part. If several parallel parts fail, one failure names them all.
    pub(super) async fn replace_key(
        &self,
        replacement: &Replacement<'_>,
        policies: &[Vec<Change>; 2],
        socket: Option<Socket>,
    ) -> Result<(), Failure> {
        let link = replacement.link;
        // The longest lane comes first, because parallel calls are sent in this order.
        let ready = Box::pin(self.create_working_key(replacement, socket));
        let (ready, changed) = join(ready, self.in_parallel(policies.iter().map(Vec::as_slice))).await;
        let (Ready { key, working, socket }, ()) = both(ready, changed)?;
        let confirm = self.perform(Part::ConfirmKey, self.confirm_key(&key, working));
        let (confirmed, has_lease) = join(confirm, self.change(&Change::CheckLease)).await;
        both(confirmed, has_lease)?;
        self.perform(Part::Register, self.register(link, &key, socket)).await?;
        let read_back = self.perform(Part::ReadBack, self.read_back(link));
        let (shown, verified) = join(read_back, self.verify_and_clean_up(&key)).await;
        let (shown, ()) = both(shown, verified)?;
        self.perform(Part::Record, self.record(replacement, &key, &shown)).await?;
        self.in_order(replacement.delete_others.as_slice()).await?;
        self.change(&Change::ReleaseLease { pending: true }).await
    }

    async fn create_working_key(
        &self,
        replacement: &Replacement<'_>,
        socket: Option<Socket>,
    ) -> Result<Ready, Failure> {
        let open = self.perform(Part::OpenSocket, self.open_socket(replacement.link, socket));
        let Some(make_room) = &replacement.make_room else {
            let key = self.perform(Part::CreateKey, self.create_key()).await?;
            let wait = self.perform(Part::WaitForKey, self.wait_for_key(&key));
            let tag = self.perform(Part::TagPending, self.tag_pending(&key, replacement));
            let (working, tagged, socket) = join3(wait, tag, open).await;
            let ((working, ()), socket) = both(both(working, tagged), socket)?;
            return Ok(Ready { key, working, socket });
        };
        // The WebSocket is opened first, so that both keys still exist if Coiled is unreachable and the run fails.
        let socket = open.await?;
        self.change(make_room).await?;
        let key = self.perform(Part::CreateKey, self.create_key()).await?;
        let wait = self.perform(Part::WaitForKey, self.wait_for_key(&key));
        let (working, tagged) = join(wait, self.perform(Part::TagPending, self.tag_pending(&key, replacement))).await;
        let (working, ()) = both(working, tagged)?;
        Ok(Ready { key, working, socket })
    }

    async fn open_socket(&self, link: &Link, open: Option<Socket>) -> Result<Socket, Error> {
        match open {
            Some(socket) => Ok(socket),
            None => link.coiled.open(&link.workspace).await,
        }
    }

    async fn tag_pending(&self, key: &NewKey, replacement: &Replacement<'_>) -> Result<(), Error> {
        let mut tags = vec![Tag::new(PENDING, &key.id), Tag::new(PENDING_REGION, &self.prepared.spec.region)];
        tags.extend(replacement.resolved.iter().cloned());
        let observed = &self.prepared.observed;
        let adopted = Adopted::before(observed).map(|before| before.with_created(&key.id, observed.keys()));
        tags.extend(adopted.map(|adopted| adopted.tag()));
        self.context.iam.tag_user(self.user(), &tags).await
    }

    async fn register(&self, link: &Link, key: &NewKey, socket: Socket) -> Result<(), Error> {
        let request_id = &self.context.envelope.request_id;
        let physical_id = self.context.envelope.physical_resource_id();
        let ids = (physical_id.plain(), request_id.as_str());
        let message = Message::new(&self.prepared.spec, key, link.hub_token.as_ref(), ids);
        let coiled = link.coiled.paced(link.coiled.pace().ending(self.context.work_until()));
        let result = coiled.register(&link.workspace, &message, Some(socket), || self.journal.note_sent()).await;
        match &result {
            Ok(()) => self.journal.set_outcome(Outcome::Registered),
            Err(Error::Rejected(_)) => self.journal.set_outcome(Outcome::Rejected),
            // `note_sent` has set the outcome to Unknown if the message was sent.
            Err(_) => {}
        }
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
    async fn read_back(&self, link: &Link) -> Result<Shown, Error> {
        // The key is registered, so this request may use all of the remaining work time.
        let coiled = link.coiled.paced(link.coiled.pace().ending(self.context.deadlines.work));
        let shown = coiled.shown(&link.workspace).await?;
        if shown.is_connected() {
            return Ok(shown);
        }
        Err(Error::Unconfirmed(format!(
            "Coiled reported success, but shows workspace {} as not connected ({})",
            link.workspace,
            shown.describe()
        )))
    }

    async fn verify_and_clean_up(&self, key: &NewKey) -> Result<(), Failure> {
        self.perform(Part::Verify, self.verify(key)).await?;
        // IAM shows the new key, so by now it also shows an earlier key whose secret was lost.
        if self.journal.lost_a_key() {
            self.perform(Part::DeleteLostKey, self.delete_lost_key()).await?;
        }
        Ok(())
    }

    /// Checks that IAM shows this run's changes. Repeats the check until the consistency timeout, because IAM may show
    /// new resources late.
    async fn verify(&self, key: &NewKey) -> Result<(), Error> {
        let until = Instant::now() + self.context.config.consistency;
        loop {
            let seen = observe::user(&self.context.iam, &self.context.ownership, &self.prepared.spec.user).await?;
            let shows_lease = |seen: &SeenUser| self.context.shows_lease(&seen.user.tags, until);
            let holds_lease = seen.as_ref().map(shows_lease).transpose()?.unwrap_or_default();
            let missing = self.missing(key, seen);
            if holds_lease && missing.is_empty() {
                return Ok(());
            }
            if !missing.is_empty() && Instant::now() + self.context.config.poll > until {
                return Err(Error::Unconfirmed(format!("IAM does not list {}", missing.join(", "))));
            }
            sleep(self.context.config.poll).await;
        }
    }

    fn missing(&self, key: &NewKey, seen: Option<SeenUser>) -> Vec<String> {
        let attached = seen.as_ref().map(|seen| seen.attached.clone()).unwrap_or_default();
        let wanted = Kind::ALL.into_iter().filter(|kind| kind.is_attached_by(&self.prepared.spec));
        let policies = wanted.map(|kind| self.arn(kind)).filter(|arn| !attached.contains(arn));
        let key_exists = seen.is_some_and(|seen| seen.keys.iter().any(|seen| seen.id == key.id && seen.active));
        policies.chain((!key_exists).then_some(format!("key {}", key.id))).collect()
    }

    async fn record(&self, replacement: &Replacement<'_>, key: &NewKey, shown: &Shown) -> Result<(), Error> {
        let digests = Digests::new(&self.prepared.spec, shown);
        let mut tags = vec![Tag::new(ACCESS_KEY_ID, &key.id), Tag::new(REGISTERED, digests.tag_value())];
        tags.extend(replacement.workspace.clone());
        self.context.iam.tag_user(self.user(), &tags).await
    }
}
