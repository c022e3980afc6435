//! One cell: one step of one scenario goes wrong in one way, and CloudFormation does what it does next.

use std::fmt;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::faults::{Fault, Kind};
use super::scenario::{Before, Event, Scenario};
use super::stage::{PATIENT, Stage};
use super::steps::{self, Step};
use super::truth::Truth;
use crate::support::{Answer, locked};

/// A scenario, and what an undisturbed run of it does.
#[derive(Debug)]
pub struct Recorded {
    pub scenario: Scenario,
    /// Every call.
    pub steps: Vec<Step>,
    /// What is there before.
    pub start: Truth,
    /// After the request.
    pub done: Truth,
    /// After what follows when the request fails.
    pub back: Truth,
}

impl Recorded {
    /// Plays it undisturbed.
    pub async fn of(scenario: Scenario) -> Self {
        let stage = Stage::set(&scenario).await;
        let start = Truth::of(&stage).await;
        let before = (stage.world.aws.calls().len(), stage.world.coiled.requests().len());
        stage.world.send(stage.event()).await.succeeded();
        let steps = steps::since(&stage.world, before);
        let done = Truth::of(&stage).await;
        stage.world.send(stage.next()).await.succeeded();
        let back = Truth::of(&stage).await;
        assert!(back.dead_key.is_none() && done.dead_key.is_none(), "{}", scenario.name);
        match scenario.event {
            Event::Delete => done.assert_gone(),
            _ => done.assert_whole(),
        }
        match scenario.event {
            Event::Create | Event::Delete => back.assert_gone(),
            Event::Update | Event::Rollback => back.assert_whole(),
        }
        assert_eq!((&start.foreign, &done.foreign), (&done.foreign, &back.foreign), "{}", scenario.name);
        Self { scenario, steps, start, done, back }
    }
}

/// What goes wrong, and where.
#[derive(Debug, Clone)]
pub struct Cell {
    pub recorded: Arc<Recorded>,
    /// The step's place among the scenario's.
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

/// Whether Coiled can be reached by the request that follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    With,
    Without,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// SUCCESS all the same.
    Succeeded,
    /// FAILED, or no answer; what followed has put it right.
    PutRight,
}

/// What happened in a cell, for whoever has to find out why it does not hold.
#[derive(Debug, Clone, Default)]
pub struct Story(Arc<Mutex<Vec<String>>>);

impl Story {
    pub fn say(&self, line: String) {
        locked(&self.0).push(line);
    }

    pub fn text(&self) -> String {
        locked(&self.0).iter().map(|line| format!("      {line}\n")).collect()
    }
}

/// One cell at play.
pub struct Play<'c> {
    pub cell: &'c Cell,
    pub stage: Stage,
    pub start: Truth,
    pub story: Story,
}

impl Cell {
    /// Plays it. Panics where it does not hold.
    pub async fn play(&self, reach: Reach, story: Story) -> Outcome {
        let mut stage = Stage::set(&self.recorded.scenario).await;
        let start = Truth::of(&stage).await;
        stage.world.timeout = self.fault.timeout();
        self.fault.inject(self.step(), &stage.world);
        let mut play = Play { cell: self, stage, start, story };
        let answer = play.disturbed().await;
        let was_met = Fault::was_met(self.step(), &play.stage.world);
        play.stage.all_is_well();
        play.stage.world.timeout = PATIENT;
        assert!(was_met, "the fault was not met");
        let now = play.look().await;
        match answer {
            // What was in doubt before may still be: then the next run settles it.
            Some(answer) if answer.is_success() && now.is_in_doubt() && play.start.is_in_doubt() => {
                play.follow(reach, now).await;
                Outcome::PutRight
            }
            Some(answer) if answer.is_success() => {
                play.expect(&now, &[&self.recorded.done], "after SUCCESS");
                Outcome::Succeeded
            }
            answer => {
                play.names_what_is_left(answer.as_ref(), &now);
                play.follow(reach, now).await;
                Outcome::PutRight
            }
        }
    }
}

impl Play<'_> {
    /// The request that goes wrong; one valid answer comes of it. None only where no PUT ever works.
    async fn disturbed(&self) -> Option<Answer> {
        let event = self.stage.event();
        let kind = event["RequestType"].as_str().unwrap_or_default().to_owned();
        let answer = match self.cell.step() {
            Step::Put => self.hardly_answered(event).await,
            _ => Some(self.stage.world.send(event).await),
        };
        self.tell(&kind, "as the cell says", answer.as_ref());
        answer
    }

    /// The bucket does not take the answer at first, or never; then the log says so loudly.
    async fn hardly_answered(&self, event: Value) -> Option<Answer> {
        if !self.cell.fault.on {
            return Some(self.stage.world.send(event).await);
        }
        let world = &self.stage.world;
        let before = world.bucket.puts().len();
        let undelivered = world.invoke(event).await.expect_err("no answer was taken");
        assert!(undelivered.contains("could not be delivered"), "{undelivered}");
        let text = world.logs.text();
        let loud = text.lines().any(|line| line.contains("\"ERROR\"") && line.contains("ServiceTimeout"));
        assert!(loud, "nobody says that CloudFormation waits now");
        world.nothing_leaked();
        let puts = world.bucket.puts().split_off(before);
        let last = puts.last().expect("it was tried");
        assert!(puts.iter().all(|put| put.body == last.body && put.faults.is_empty()), "{:?}", last.faults);
        // What is stored is read, though the function never heard of it.
        let is_stored = self.cell.fault.kind == Kind::Lost;
        is_stored.then(|| Answer { value: serde_json::from_slice(&last.body).unwrap() })
    }

    /// What CloudFormation sends next.
    pub async fn send(&self, event: Value, how: &str) -> Answer {
        let kind = event["RequestType"].as_str().unwrap_or_default().to_owned();
        let answer = self.stage.world.send(event).await;
        self.tell(&kind, how, Some(&answer));
        answer
    }

    fn tell(&self, kind: &str, how: &str, answer: Option<&Answer>) {
        let said = answer.map_or("no answer".to_owned(), |answer| {
            format!("{} {}", answer.value["Status"].as_str().unwrap_or_default(), answer.reason())
        });
        self.story.say(format!("{kind} ({how}): {said}"));
    }

    /// The whole truth at the end of a request, and what holds at every end.
    pub async fn look(&self) -> Truth {
        let now = Truth::of(&self.stage).await;
        assert_eq!(self.start.foreign, now.foreign, "somebody else's thing has changed");
        if let Some(key) = &now.dead_key {
            assert!(self.may_hold_a_dead_key(), "Coiled holds a key that does not work: {key}");
        }
        now
    }

    /// A Delete that Coiled does not let in, or that has no token to show, removes the AWS side all the same, and so does one
    /// that was told to force it: else the stack could never be deleted. It says in the log what stays at Coiled.
    ///
    /// And where Coiled refuses the key of an adoption in the region of the connection that was there, its refusal is
    /// believed: nothing that it shows could tell the one key from the other, and all is given back as it was.
    fn may_hold_a_dead_key(&self) -> bool {
        let text = self.stage.world.logs.text();
        if self.cell.recorded.scenario.before == Before::SetUpByCoiled {
            return text.contains("Coiled refused the registration");
        }
        // What time heals is no reason to give the key up.
        let is_told_so =
            self.cell.fault.kind == Kind::Denied || self.cell.recorded.scenario.before == Before::ClustersRun;
        self.cell.recorded.scenario.event == Event::Delete
            && is_told_so
            && text.lines().any(|line| line.contains("what_stays") && line.contains("\"WARN\""))
    }

    /// Ours is one of these; what the log says stays at Coiled is taken away by a person.
    pub fn expect(&self, now: &Truth, ends: &[&Truth], when: &str) {
        let mut now = now.clone();
        if now.dead_key.is_some() {
            now.ours["coiled"] = Value::Null;
        }
        let differences: Vec<Vec<String>> = ends.iter().map(|end| now.difference(end)).collect();
        if let Some(least) = differences.into_iter().min_by_key(Vec::len)
            && !least.is_empty()
        {
            least.iter().for_each(|line| self.story.say(format!("{when}: {line}")));
            panic!("{when} the state is another one than it should be");
        }
    }

    /// A failed Create names what it could not remove or give back.
    fn names_what_is_left(&self, answer: Option<&Answer>, now: &Truth) {
        let Some(answer) = answer.filter(|_| self.cell.recorded.scenario.event == Event::Create) else { return };
        let account = self.stage.world.aws.account();
        // An adopted user's old keys go for good once ours is registered; `next` judges those that are there.
        let (now, start) = (now.without_keys(), self.start.without_keys());
        for arn in now.arns_unlike(&start).iter().map(|arn| arn.replace("ACCOUNT", account)) {
            assert!(answer.reason().contains(&arn), "{arn} is left, and the Reason does not say so");
        }
    }
}
