//! What CloudFormation does after a failure, and what has to be so then.

use super::cell::{Play, Reach};
use super::scenario::Event;
use super::truth::Truth;

impl Play<'_> {
    /// Sends what follows a failure until the end.
    pub async fn follow(&self, reach: Reach, failed: Truth) {
        match (self.cell.recorded.scenario.event, reach) {
            (Event::Create | Event::Delete, Reach::With) => self.delete().await,
            (Event::Create | Event::Delete, Reach::Without) => self.delete_without_coiled().await,
            (Event::Update | Event::Rollback, Reach::With) => self.go_back().await,
            (Event::Update | Event::Rollback, Reach::Without) => self.go_back_without_coiled(failed).await,
        }
    }

    /// Nothing of ours is left.
    async fn delete(&self) {
        let answer = self.send(self.stage.next(), "Coiled can be reached").await;
        assert!(answer.is_success(), "the Delete that follows fails");
        let now = self.look().await;
        let recorded = &self.cell.recorded;
        match recorded.scenario.event {
            Event::Create if now.arns().is_empty() => {
                self.expect(&now, &[&recorded.back], "after the Delete that followed")
            }
            Event::Create => self.expect_given_back(&now).await,
            _ => self.expect(&now, &[&recorded.done], "after the Delete that followed"),
        }
    }

    /// Of what a failed Create had adopted each thing is gone with its marks, or as it was before; but for what can't be undone, as the parameter's text says: a
    /// connection that was replaced, whose secret nobody has, and the old keys, which go once ours is registered. A new key that
    /// could not be removed again stays in a user that is a person's again: so the Reason has to name it.
    async fn expect_given_back(&self, now: &Truth) {
        let start = self.start.without_keys().but_for_what_is_gone(now);
        let now = now.without_keys();
        self.expect(&now, &[&start, &start.disconnected()], "after the Delete that followed");
        let told = self.story.text();
        let unnamed =
            self.stage.world.keys("coiled").await.into_iter().filter(|id| !told.contains(&format!("access key {id}")));
        assert!(unnamed.count() <= 1, "a key is left in the user, and the Reason does not say so");
    }

    /// Without Coiled a Delete may fail, for Coiled may hold a key; it never gives that key up unsaid.
    async fn delete_without_coiled(&self) {
        self.stage.cut_off_coiled();
        let answer = self.send(self.stage.next(), "Coiled can't be reached").await;
        self.look().await;
        self.stage.all_is_well();
        if !answer.is_success() {
            assert!(answer.reason().contains("force-disconnect"), "the Reason names no way out");
        }
        self.delete().await;
    }

    async fn go_back(&self) {
        let answer = self.send(self.stage.next(), "Coiled can be reached").await;
        assert!(answer.is_success(), "the reversed Update fails: UPDATE_ROLLBACK_FAILED");
        let now = self.look().await;
        self.expect(&now, &[&self.cell.recorded.back], "after the reversed Update");
    }

    /// What is registered still decides whether Coiled is needed on the way back.
    async fn go_back_without_coiled(&self, failed: Truth) {
        self.stage.cut_off_coiled();
        let answer = self.send(self.stage.next(), "Coiled can't be reached").await;
        let now = self.look().await;
        self.stage.all_is_well();
        if !answer.is_success() {
            assert!(!self.is_still_registered(&failed), "a rollback to what is registered needs no Coiled");
        } else if !now.is_in_doubt() {
            self.expect(&now, &[&self.cell.recorded.back], "after the reversed Update");
            return;
        }
        // Which key Coiled holds can't be known before it answers: both stay until then, and the next run settles it.
        self.go_back().await;
    }

    fn is_still_registered(&self, failed: &Truth) -> bool {
        let old = failed.tag("coiled-stack:registered").is_some_and(|registered| registered.starts_with("old target"));
        let key = failed.tag("coiled-stack:access-key-id");
        old && key.is_some_and(|key| failed.ours["users"]["coiled"]["keys"][key].is_string())
    }
}
