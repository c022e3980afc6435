//! What is found when the role of one stack is held against all calls of the suite, as they would have been in that stack.

use std::collections::BTreeSet;
use std::ops::AddAssign;

use super::evaluate::{Policy, Request};
use super::mutants::{self, Mutant};
use super::names::Names;
use super::negatives;
use super::record::Entry;
use super::template::{Parameters, Place, Template};

/// The role of one stack, with what must be granted and what must not.
pub struct Judgement {
    policy: Policy,
    calls: BTreeSet<Request>,
    strangers: BTreeSet<Request>,
    mutants: Vec<Mutant>,
    survivors: Vec<String>,
}

/// How much was judged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Calls that must be granted.
    pub calls: usize,
    /// Calls that must not.
    pub strangers: usize,
    /// Mistakes in the policy.
    pub mutants: usize,
    /// Those that nothing noticed.
    pub survivors: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.calls += more.calls;
        self.strangers += more.strangers;
        self.mutants += more.mutants;
        self.survivors += more.survivors;
    }
}

impl Judgement {
    /// Of the stack of these parameters.
    pub fn new(parameters: &Parameters, place: &Place, record: &BTreeSet<Entry>) -> Self {
        let stack = Template::shipped().stack(parameters, place);
        let names = Names::of(&stack);
        let carried = |entry: &Entry| {
            let there = Template::shipped().stack(&entry.parameters, &entry.place);
            Names::of(&there).carry(&entry.request, &names)
        };
        let calls: BTreeSet<Request> = record.iter().filter_map(carried).collect();
        let (policy, strangers) = (stack.role_policy(), negatives::of(&calls, &names));
        // What is lost or won by a mistake in one statement could else be the doing of another.
        assert!(policy.statements.iter().all(|statement| statement.allows), "a Deny in the role is not judged here");
        let mutants = mutants::of(&policy);
        let survives = |mutant: &&Mutant| !is_noticed(&policy, mutant, &calls, &strangers);
        let survivors = mutants.iter().filter(survives).map(|mutant| mutant.what.clone()).collect();
        Self { policy, calls, strangers, mutants, survivors }
    }

    /// How much was judged.
    pub fn counts(&self) -> Counts {
        Counts {
            calls: self.calls.len(),
            strangers: self.strangers.len(),
            mutants: self.mutants.len(),
            survivors: self.survivors.len(),
        }
    }

    /// Everything that is wrong.
    pub fn findings(&self) -> Vec<String> {
        let is_granted = |request: &&Request| self.policy.allows(request);
        let lacking = self.calls.iter().filter(|call| !is_granted(call)).map(|call| format!("not granted: {call}"));
        let wide = self.strangers.iter().filter(is_granted).map(|call| format!("granted to a stranger: {call}"));
        let unused = self.unused().into_iter().map(|grant| format!("used by no test: {grant}"));
        let survivors = self.survivors.iter().map(|mutant| format!("a mutant that nothing notices: {mutant}"));
        lacking.chain(wide).chain(unused).chain(survivors).collect()
    }

    /// Actions of statements that no call needs.
    fn unused(&self) -> Vec<String> {
        let mut unused = Vec::new();
        for statement in &self.policy.statements {
            let matching = self.calls.iter().filter(|call| statement.matches(call));
            let used: BTreeSet<String> = matching.map(|call| call.action.to_lowercase()).collect();
            let actions = statement.actions.these().iter().filter(|action| !used.contains(&action.to_lowercase()));
            unused.extend(actions.map(|action| format!("{action} in {}", statement.sid)));
        }
        unused
    }
}

/// Whether a call is lost, or a stranger let in.
fn is_noticed(policy: &Policy, mutant: &Mutant, calls: &BTreeSet<Request>, strangers: &BTreeSet<Request>) -> bool {
    let mut others = policy.clone();
    others.statements.remove(mutant.at);
    let matches = |request: &Request| mutant.instead.iter().any(|statement| statement.matches(request));
    calls.iter().any(|call| !matches(call) && !others.allows(call)) || strangers.iter().any(matches)
}
