//! CloudFormation's next request after a failure, and the state that must follow.

use super::cell::{CellRun, CoiledAfter};
use super::truth::Truth;
use crate::scenario::Event;

impl CellRun<'_> {
    /// Sends CloudFormation's next requests until the stack has recovered.
    pub async fn recover(&self, coiled: CoiledAfter, failed: Truth) {
        match (self.cell.recorded.scenario.event, coiled) {
            (Event::Create | Event::Delete, CoiledAfter::Reachable) => self.delete().await,
            (Event::Create | Event::Delete, CoiledAfter::Unreachable) => self.delete_without_coiled().await,
            (Event::Update | Event::Rollback, CoiledAfter::Reachable) => self.roll_back().await,
            (Event::Update | Event::Rollback, CoiledAfter::Unreachable) => self.roll_back_without_coiled(failed).await,
        }
    }

    /// The Delete must remove everything that the stack created.
    async fn delete(&self) {
        let response = self.send(self.stage.next(), "Coiled is reachable").await;
        assert!(response.is_success(), "the Delete that follows fails");
        let now = self.look().await;
        let recorded = &self.cell.recorded;
        match recorded.scenario.event {
            Event::Create if now.arns().is_empty() => self.expect(&now, &[&recorded.back], "after the next Delete"),
            Event::Create => self.expect_restored(&now).await,
            _ => self.expect(&now, &[&recorded.done], "after the next Delete"),
        }
    }

    /// After a failed adoption, every resource is either deleted with its tags or back in its earlier state.
    ///
    /// Two things cannot be undone, as the description of `AdoptExisting` says. A replaced connection is lost because
    /// nobody has its secret. The user's old keys are deleted once the stack's key is registered. If the new key could
    /// not be deleted, it remains on the restored user, and the status reason must name it.
    async fn expect_restored(&self, now: &Truth) {
        let start = self.start.without_keys().without_deleted(now);
        let now = now.without_keys();
        self.expect(&now, &[&start, &start.disconnected()], "after the next Delete");
        let told = self.transcript.text();
        let unnamed =
            self.stage.world.keys("coiled").await.into_iter().filter(|id| !told.contains(&format!("access key {id}")));
        assert!(unnamed.count() <= 1, "a key remains on the user, and the status reason does not name it");
    }

    /// Without Coiled, a Delete may fail because Coiled may hold a key. It must not abandon that key silently.
    async fn delete_without_coiled(&self) {
        self.stage.make_coiled_unreachable();
        let response = self.send(self.stage.next(), "Coiled is unreachable").await;
        self.look().await;
        self.stage.clear_faults();
        if !response.is_success() {
            assert!(response.reason().contains("force-disconnect"), "the status reason must name force-disconnect");
        }
        self.delete().await;
    }

    async fn roll_back(&self) {
        let response = self.send(self.stage.next(), "Coiled is reachable").await;
        assert!(response.is_success(), "the reversed Update fails: UPDATE_ROLLBACK_FAILED");
        let now = self.look().await;
        if now.has_pending_key() {
            // Coiled shows the same connection for both keys, and a key that it may hold is never deleted to make room.
            return self.roll_back_after_a_person_chose().await;
        }
        self.expect(&now, &[&self.cell.recorded.back], "after the reversed Update");
    }

    /// A person deletes the key that Coiled does not use.
    async fn roll_back_after_a_person_chose(&self) {
        self.stage.world.choose_key_by_hand().await;
        let response = self.send(self.stage.next(), "a person has deleted the other key").await;
        assert!(response.is_success(), "the reversed Update fails although there is room for a key");
        let now = self.look().await;
        self.expect(&now, &[&self.cell.recorded.back], "after the reversed Update that resolved the outcome");
    }

    /// Without Coiled, the rollback may fail only if it has to register a key.
    async fn roll_back_without_coiled(&self, failed: Truth) {
        self.stage.make_coiled_unreachable();
        let response = self.send(self.stage.next(), "Coiled is unreachable").await;
        let now = self.look().await;
        self.stage.clear_faults();
        if !response.is_success() {
            assert!(!self.is_still_registered(&failed), "a rollback to the current registration must not need Coiled");
        } else if !now.has_pending_key() {
            self.expect(&now, &[&self.cell.recorded.back], "after the reversed Update");
            return;
        }
        // Until Coiled responds, nobody knows which key it holds. Both keys are kept, and the next run finds out.
        self.roll_back().await;
    }

    fn is_still_registered(&self, failed: &Truth) -> bool {
        let old = failed.tag("coiled-stack:registered").is_some_and(|registered| registered.starts_with("old target"));
        let key = failed.tag("coiled-stack:access-key-id");
        old && key.is_some_and(|key| failed.stack["users"]["coiled"]["keys"][key].is_string())
    }
}
