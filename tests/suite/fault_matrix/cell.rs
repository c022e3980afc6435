//! One cell: a fault hits one step of one scenario. If the request fails, CloudFormation sends its next one.

use std::fmt;
use std::sync::{Arc, Mutex};

use coiled_world::{FunctionResponse, locked};
use serde_json::Value;

use super::faults::{Fault, Kind};
use super::stage::{PATIENT, Stage};
use super::steps::{self, Step};
use super::truth::Truth;
use crate::scenario::{Before, Event, Scenario};

/// A scenario, with the calls and the results of its run without faults.
#[derive(Debug)]
pub struct Recorded {
    pub scenario: Scenario,
    pub steps: Vec<Step>,
    /// The state after the request.
    pub done: Truth,
    /// The state after the request that CloudFormation sends if the first one fails.
    pub back: Truth,
}

impl Recorded {
    /// Runs the scenario without faults.
    pub async fn of(scenario: Scenario) -> Self {
        let stage = Stage::prepare(&scenario).await;
        let start = Truth::of(&stage).await;
        let before = (stage.world.aws.calls().len(), stage.world.coiled.requests().len());
        stage.world.send(stage.event()).await.succeeded();
        let steps = steps::since(&stage.world, before);
        let done = Truth::of(&stage).await;
        stage.world.send(stage.next()).await.succeeded();
        let back = Truth::of(&stage).await;
        assert!(back.dead_key.is_none() && done.dead_key.is_none(), "{}", scenario.name);
        match scenario.event {
            Event::Delete => done.assert_deleted(),
            _ => done.assert_complete(),
        }
        match scenario.event {
            Event::Create | Event::Delete => back.assert_deleted(),
            Event::Update | Event::Rollback => back.assert_complete(),
        }
        assert_eq!((&start.foreign, &done.foreign), (&done.foreign, &back.foreign), "{}", scenario.name);
        Self { scenario, steps, done, back }
    }
}

/// One fault at one step of one scenario.
#[derive(Debug, Clone)]
pub struct Cell {
    pub recorded: Arc<Recorded>,
    /// The index of the step in the scenario.
    pub row: usize,
    pub fault: Fault,
}

impl Cell {
    pub fn step(&self) -> &Step {
        &self.recorded.steps[self.row]
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {} / {}", self.recorded.scenario.name, self.step(), self.fault)
    }
}

/// Whether the request after a failure can reach Coiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoiledAfter {
    Reachable,
    Unreachable,
}

/// How a cell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// SUCCESS despite the fault.
    Succeeded,
    /// FAILED or no response. CloudFormation's next requests restored a correct state.
    Recovered,
}

/// The requests of a cell, their responses and any wrong state. Printed if the cell fails.
#[derive(Debug, Clone, Default)]
pub struct Transcript(Arc<Mutex<Vec<String>>>);

impl Transcript {
    pub fn add(&self, line: String) {
        locked(&self.0).push(line);
    }

    pub fn text(&self) -> String {
        locked(&self.0).iter().map(|line| format!("      {line}\n")).collect()
    }
}

/// A cell while it runs.
pub struct CellRun<'c> {
    pub cell: &'c Cell,
    pub stage: Stage,
    pub start: Truth,
    pub transcript: Transcript,
}

impl Cell {
    /// Panics if the cell fails.
    pub async fn run(&self, coiled: CoiledAfter, transcript: Transcript) -> Outcome {
        let mut stage = Stage::prepare(&self.recorded.scenario).await;
        let start = Truth::of(&stage).await;
        stage.world.timeout = self.fault.timeout();
        self.fault.inject(self.step(), &stage.world);
        let mut run = CellRun { cell: self, stage, start, transcript };
        let response = run.send_with_fault().await;
        let was_hit = Fault::was_hit(self.step(), &run.stage.world);
        run.stage.clear_faults();
        run.stage.world.timeout = PATIENT;
        assert!(was_hit, "the run did not hit the fault");
        let now = run.look().await;
        match response {
            // An outcome that was unknown before the run may still be unknown. Then the next run resolves it.
            Some(response) if response.is_success() && now.has_pending_key() && run.start.has_pending_key() => {
                run.recover(coiled, now).await;
                Outcome::Recovered
            }
            Some(response) if response.is_success() => {
                run.expect(&now, &[&self.recorded.done], "after SUCCESS");
                Outcome::Succeeded
            }
            response => {
                run.assert_leftovers_named(response.as_ref(), &now);
                run.recover(coiled, now).await;
                Outcome::Recovered
            }
        }
    }
}

impl CellRun<'_> {
    /// Sends the request that the fault hits. Returns its valid response, or `None` if no PUT ever succeeds.
    async fn send_with_fault(&self) -> Option<FunctionResponse> {
        let event = self.stage.event();
        let kind = event["RequestType"].as_str().unwrap_or_default().to_owned();
        let response = match self.cell.step() {
            Step::Put => self.send_while_puts_fail(event).await,
            _ => Some(self.stage.world.send(event).await),
        };
        self.note(&kind, "with the fault", response.as_ref());
        response
    }

    /// The bucket fails once or on every PUT. If every PUT fails, the log must say that CloudFormation waits.
    async fn send_while_puts_fail(&self, event: Value) -> Option<FunctionResponse> {
        if !self.cell.fault.lasting {
            return Some(self.stage.world.send(event).await);
        }
        let world = &self.stage.world;
        let before = world.bucket.puts().len();
        let undelivered = world.invoke(event).await.expect_err("the bucket accepted no response");
        assert!(undelivered.contains("could not be delivered"), "{undelivered}");
        let text = world.logs.text();
        let is_logged = text.lines().any(|line| line.contains("\"ERROR\"") && line.contains("ServiceTimeout"));
        assert!(is_logged, "no ERROR in the log says that CloudFormation now waits for its ServiceTimeout");
        world.nothing_leaked();
        let puts = world.bucket.puts().split_off(before);
        let last = puts.last().expect("at least one PUT was sent");
        assert!(puts.iter().all(|put| put.body == last.body && put.faults.is_empty()), "{:?}", last.faults);
        // CloudFormation reads a stored response even though the function never learned that it was stored.
        let is_stored = self.cell.fault.kind == Kind::Lost;
        is_stored.then(|| FunctionResponse { value: serde_json::from_slice(&last.body).unwrap() })
    }

    /// Sends CloudFormation's next request. `how` describes it in the transcript.
    pub async fn send(&self, event: Value, how: &str) -> FunctionResponse {
        let kind = event["RequestType"].as_str().unwrap_or_default().to_owned();
        let response = self.stage.world.send(event).await;
        self.note(&kind, how, Some(&response));
        response
    }

    fn note(&self, kind: &str, how: &str, response: Option<&FunctionResponse>) {
        let text = response.map_or("no response".to_owned(), |response| {
            format!("{} {}", response.value["Status"].as_str().unwrap_or_default(), response.reason())
        });
        self.transcript.add(format!("{kind} ({how}): {text}"));
    }

    /// The state after a request. Panics on a state that is wrong after any request.
    pub async fn look(&self) -> Truth {
        let now = Truth::of(&self.stage).await;
        assert_eq!(self.start.foreign, now.foreign, "a resource that does not belong to the stack has changed");
        if let Some(key) = &now.dead_key {
            assert!(self.may_hold_a_dead_key(), "Coiled holds a key that does not work: {key}");
        }
        now
    }

    /// Whether Coiled may hold a key that does not work. There are two cases.
    ///
    /// A Delete cannot disconnect if Coiled or Secrets Manager denies access, or if a forced disconnect fails. It still
    /// deletes the AWS resources, because otherwise nobody could delete the stack. It logs what Coiled keeps.
    ///
    /// An adopting Create cannot tell from Coiled's response which key Coiled holds if the region is unchanged. If
    /// Coiled rejects the new key, the Create assumes that Coiled still holds the old key, and restores everything.
    fn may_hold_a_dead_key(&self) -> bool {
        let text = self.stage.world.logs.text();
        if self.cell.recorded.scenario.before == Before::SetUpByCoiled {
            return text.contains("Coiled rejected the registration");
        }
        // A transient error does not allow a Delete to abandon the registration.
        let may_abandon =
            self.cell.fault.kind == Kind::Denied || self.cell.recorded.scenario.before == Before::ClustersRunning;
        self.cell.recorded.scenario.event == Event::Delete
            && may_abandon
            && text.lines().any(|line| line.contains("kept_at_coiled") && line.contains("\"WARN\""))
    }

    /// Panics unless the stack's resources equal one of `ends`. A dead key at Coiled is ignored: a person deletes it.
    pub fn expect(&self, now: &Truth, ends: &[&Truth], when: &str) {
        let mut now = now.clone();
        if now.dead_key.is_some() {
            now.stack["coiled"] = Value::Null;
        }
        let differences: Vec<Vec<String>> = ends.iter().map(|end| now.differences(end)).collect();
        if let Some(fewest) = differences.into_iter().min_by_key(Vec::len)
            && !fewest.is_empty()
        {
            fewest.iter().for_each(|line| self.transcript.add(format!("{when}: {line}")));
            panic!("{when} the state is wrong");
        }
    }

    /// The status reason of a failed Create must name each resource that it could not delete or restore.
    fn assert_leftovers_named(&self, response: Option<&FunctionResponse>, now: &Truth) {
        let Some(response) = response.filter(|_| self.cell.recorded.scenario.event == Event::Create) else { return };
        let account = self.stage.world.aws.account();
        // An adopted user's old keys are deleted once the stack's key is registered. `next` checks the remaining keys.
        let (now, start) = (now.without_keys(), self.start.without_keys());
        for arn in now.arns_changed_since(&start).iter().map(|arn| arn.replace("ACCOUNT", account)) {
            assert!(response.reason().contains(&arn), "{arn} was left behind, and the status reason does not name it");
        }
    }
}
