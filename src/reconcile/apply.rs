//! Executes a plan. For each step, `Run::perform` notes the undo, performs the step, and notes whether it succeeded.

mod key;
mod policy;
mod replace;
mod user;

use std::future::Future;

use futures_util::future::{BoxFuture, join_all};

use crate::coiled::socket::Socket;
use crate::error::{Error, Failure};
use crate::reconcile::plan::{KeyPlan, Plan, RELEASE};
use crate::reconcile::run::Run;
use crate::reconcile::step::{Change, Step, undo_of};

impl Run<'_> {
    /// Executes a plan. `socket` is the WebSocket, if the checks have opened it.
    ///
    /// # Errors
    /// The failed step. If several parallel steps fail, one failure names them all.
    pub(crate) async fn execute(&self, plan: &Plan<'_>, socket: Option<Socket>) -> Result<(), Failure> {
        self.claim(&plan.claim).await?;
        self.in_order(&plan.user).await?;
        match &plan.keys {
            KeyPlan::Replace(replacement) => self.replace_key(replacement, &plan.policies, socket).await,
            KeyPlan::Keep(delete) => {
                let [setup, ongoing] = &plan.policies;
                self.in_parallel([setup, ongoing, delete.as_slice()]).await?;
                self.in_order(&RELEASE).await
            }
        }
    }

    /// Takes the lease. If another run has it, this run has not changed anything.
    async fn claim(&self, claim: &Change) -> Result<(), Failure> {
        self.context.note_lease();
        let claimed = self.change(claim).await;
        if let Err(Failure { error: Error::Busy(_), .. }) = &claimed {
            self.journal.note_overtaken();
        }
        claimed
    }

    async fn in_order(&self, changes: &[Change]) -> Result<(), Failure> {
        for change in changes {
            self.change(change).await?;
        }
        Ok(())
    }

    /// Every lane ends before a failure is returned. Otherwise a call could take effect after its undo.
    async fn in_parallel<'c>(&self, lanes: impl IntoIterator<Item = &'c [Change]>) -> Result<(), Failure> {
        let lanes = lanes.into_iter().map(|changes| Box::pin(self.in_order(changes)));
        let results = join_all(lanes).await.into_iter();
        results.reduce(|all, lane| both(all, lane).map(|_| ())).unwrap_or(Ok(()))
    }

    async fn change(&self, change: &Change) -> Result<(), Failure> {
        self.perform(change.clone(), self.act(change)).await
    }

    /// Notes the undo of a step, performs the step, and notes whether it succeeded.
    ///
    /// The undo is noted before the first call, because a call that times out may have worked. `work` and the returned
    /// future are boxed. Otherwise the future of a whole run would contain those of all its calls, and overflow a
    /// thread's stack.
    fn perform<'w, T: Send + 'w>(
        &'w self,
        step: impl Into<Step>,
        work: impl Future<Output = Result<T, Error>> + Send + 'w,
    ) -> BoxFuture<'w, Result<T, Failure>> {
        let (step, work) = (step.into(), Box::pin(work));
        Box::pin(async move {
            let undo = undo_of(&step, &self.prepared.observed);
            undo.iter().for_each(|undo| self.journal.note(undo.clone()));
            let result = self.context.step(&step.to_string(), work).await;
            match &result {
                Ok(_) => undo.iter().for_each(|undo| self.journal.confirm(undo)),
                Err(_) => {
                    undo.iter().for_each(|undo| self.journal.note_failure(undo));
                    self.failed.send_replace(true);
                }
            }
            result
        })
    }

    async fn act(&self, change: &Change) -> Result<(), Error> {
        let (iam, user) = (&self.context.iam, self.user());
        match change {
            Change::CreateUser => self.create_user().await,
            Change::AdoptUser => self.adopt_user().await,
            Change::ReclaimUser => self.reclaim_user().await,
            Change::AcquireLease => self.context.claim_lease(user, &[self.lease().tag()]).await,
            Change::UntagUser(keys) => iam.untag_user(user, keys).await,
            Change::TagUser(tags) => iam.tag_user(user, tags).await,
            Change::PutBoundary(arn) => iam.put_boundary(user, arn).await,
            Change::DeleteBoundary => iam.delete_boundary(user).await,
            Change::CreatePolicy(kind) => self.create_policy(*kind).await,
            Change::PutDocument(kind) => self.put_document(*kind).await,
            Change::UntagPolicy(kind, keys) => iam.untag_policy(&self.arn(*kind), keys).await,
            Change::TagPolicy(kind, tags) | Change::AdoptPolicy(kind, tags) => {
                iam.tag_policy(&self.arn(*kind), tags).await
            }
            Change::Attach(kind) => iam.attach(user, &self.arn(*kind)).await,
            Change::Detach(kind) => iam.detach(user, &self.arn(*kind)).await,
            Change::MakeRoom(keys) => self.make_room(keys).await,
            Change::DeleteKeys(keys) => self.delete_keys(keys).await,
            Change::CheckLease => self.context.holds_lease(user).await,
            Change::ReleaseLease { pending } => self.release_lease(*pending).await,
        }
    }
}

/// The results of two parallel lanes, or their failures as one.
fn both<A, B>(first: Result<A, Failure>, second: Result<B, Failure>) -> Result<(A, B), Failure> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(failure), Ok(_)) | (Ok(_), Err(failure)) => Err(failure),
        (Err(first), Err(second)) => Err(merge(first, second)),
    }
}

fn merge(first: Failure, second: Failure) -> Failure {
    let step = format!("{}, {}", first.step, second.step);
    let causes = |error| match error {
        Error::Several(errors) => errors,
        error => vec![error],
    };
    let errors = causes(first.error).into_iter().chain(causes(second.error)).collect();
    Failure::at(step, Error::Several(errors))
}
