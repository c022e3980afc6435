//! Checks the role of one stack against all calls of the suite, translated to that stack's parameters.

use std::collections::BTreeSet;
use std::ops::AddAssign;

use super::evaluate::{Policy, Request};
use super::mutants::{self, Mutant};
use super::names::Names;
use super::negatives;
use super::record::Entry;
use super::template::{Parameters, Place, Template};

/// The role of one stack, with the calls that it must grant and the calls that it must deny.
pub struct RoleCheck {
    policy: Policy,
    calls: BTreeSet<Request>,
    forbidden: BTreeSet<Request>,
    mutants: Vec<Mutant>,
    survivors: Vec<String>,
}

/// The number of checks of each kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Calls that must be granted.
    pub calls: usize,
    /// Calls that must be denied.
    pub forbidden: usize,
    /// Copies of the policy with one mistake each.
    pub mutants: usize,
    /// Mutants that no call detected.
    pub survivors: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.calls += more.calls;
        self.forbidden += more.forbidden;
        self.mutants += more.mutants;
        self.survivors += more.survivors;
    }
}

impl RoleCheck {
    /// Checks the role of the stack with these parameters.
    pub fn new(parameters: &Parameters, place: &Place, record: &BTreeSet<Entry>) -> Self {
        let stack = Template::shipped().stack(parameters, place);
        let names = Names::of(&stack);
        let translated = |entry: &Entry| {
            let there = Template::shipped().stack(&entry.parameters, &entry.place);
            Names::of(&there).translate(&entry.request, &names)
        };
        let calls: BTreeSet<Request> = record.iter().filter_map(translated).collect();
        let (policy, forbidden) = (stack.role_policy(), negatives::of(&calls, &names));
        // Mutants are checked one statement at a time. A Deny would make the result depend on several statements.
        assert!(policy.statements.iter().all(|statement| statement.allows), "Deny statements are not supported here");
        let mutants = mutants::of(&policy);
        let survives = |mutant: &&Mutant| !is_detected(&policy, mutant, &calls, &forbidden);
        let survivors = mutants.iter().filter(survives).map(|mutant| mutant.what.clone()).collect();
        Self { policy, calls, forbidden, mutants, survivors }
    }

    pub fn counts(&self) -> Counts {
        Counts {
            calls: self.calls.len(),
            forbidden: self.forbidden.len(),
            mutants: self.mutants.len(),
            survivors: self.survivors.len(),
        }
    }

    /// All errors in the role, one line each.
    pub fn findings(&self) -> Vec<String> {
        let is_granted = |request: &&Request| self.policy.allows(request);
        let lacking = self.calls.iter().filter(|call| !is_granted(call)).map(|call| format!("not granted: {call}"));
        let wide = self.forbidden.iter().filter(is_granted).map(|call| format!("granted, but must be denied: {call}"));
        let unused = self.unused().into_iter().map(|permission| format!("not used by any test: {permission}"));
        let survivors = self.survivors.iter().map(|mutant| format!("policy mutant not detected: {mutant}"));
        lacking.chain(wide).chain(unused).chain(survivors).collect()
    }

    /// Actions that a statement grants but no call uses.
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

/// Whether the mutant denies a call that must be granted, or grants a call that must be denied.
fn is_detected(policy: &Policy, mutant: &Mutant, calls: &BTreeSet<Request>, forbidden: &BTreeSet<Request>) -> bool {
    let mut others = policy.clone();
    others.statements.remove(mutant.at);
    let matches = |request: &Request| mutant.instead.iter().any(|statement| statement.matches(request));
    calls.iter().any(|call| !matches(call) && !others.allows(call)) || forbidden.iter().any(matches)
}
