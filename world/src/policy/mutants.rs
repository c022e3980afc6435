//! Mutants of the role's policy, each with one mistake. A mutant is detected if it denies a call that must be granted,
//! or grants a call that must be denied.

use super::arn::widened;
use super::condition::Condition;
use super::evaluate::{Policy, Set, Statement, Texts};

/// One mistake: a statement that was replaced by one or two others, or removed.
#[derive(Debug)]
pub struct Mutant {
    /// A description of the mistake.
    pub what: String,
    /// The index of the statement.
    pub at: usize,
    /// The statements that replace it.
    pub instead: Vec<Statement>,
}

/// All mutants of a policy.
pub fn of(policy: &Policy) -> Vec<Mutant> {
    let each = policy.statements.iter().enumerate().flat_map(|(at, statement)| {
        let changed = [actions(statement), resources(statement), pairs(statement), conditions(statement)].concat();
        let removed = Mutant { what: format!("{}: dropped", statement.sid), at, instead: Vec::new() };
        let changed = changed.into_iter().map(move |(what, changed)| Mutant {
            what: format!("{}: {what}", statement.sid),
            at,
            instead: changed,
        });
        [removed].into_iter().chain(changed)
    });
    each.collect()
}

type Changed = (String, Vec<Statement>);

/// Drops one action, or replaces it with all actions of its service.
fn actions(statement: &Statement) -> Vec<Changed> {
    let with = |what: String, actions| (what, vec![Statement { actions: Set::These(actions), ..statement.clone() }]);
    let all = statement.actions.these();
    let each = all.iter().enumerate().flat_map(|(n, action)| {
        let service = action.split(':').next().unwrap_or_default();
        let wide = format!("{service}:*");
        let (less, more) = (without(all, n), replaced(all, n, &wide));
        [with(format!("{action} dropped"), less), with(format!("{action} > {wide}"), more)]
    });
    each.collect()
}

/// Drops or widens one resource.
fn resources(statement: &Statement) -> Vec<Changed> {
    let with =
        |what: String, resources| (what, vec![Statement { resources: Set::These(resources), ..statement.clone() }]);
    let all = statement.resources.these();
    let each = all.iter().enumerate().flat_map(|(n, resource)| {
        let wider =
            widened(resource).into_iter().map(move |wide| (format!("{resource} > {wide}"), replaced(all, n, &wide)));
        let dropped = (format!("{resource} dropped"), without(all, n));
        [dropped].into_iter().chain(wider).map(|(what, resources)| with(what, resources))
    });
    each.collect()
}

/// Removes one pair of action and resource. This proves that a test needs each action on each resource.
fn pairs(statement: &Statement) -> Vec<Changed> {
    let (actions, resources) = (statement.actions.these(), statement.resources.these());
    if actions.len() < 2 || resources.len() < 2 {
        return Vec::new();
    }
    let with = |actions: Texts, resources: Texts| {
        let (actions, resources) = (Set::These(actions), Set::These(resources));
        Statement { actions, resources, ..statement.clone() }
    };
    let each = actions.iter().enumerate().flat_map(|(a, action)| {
        let one = move |r: usize| {
            let narrow = with(vec![action.clone()], without(resources, r));
            (format!("{action} without {}", resources[r]), vec![with(without(actions, a), resources.clone()), narrow])
        };
        (0..resources.len()).map(one)
    });
    each.collect()
}

/// Drops a condition, makes it optional, or drops or widens one of its values.
fn conditions(statement: &Statement) -> Vec<Changed> {
    let all = &statement.conditions;
    let with = |what: String, conditions| (what, vec![Statement { conditions, ..statement.clone() }]);
    let each = all.iter().enumerate().flat_map(|(n, condition)| {
        let key = &condition.key;
        let dropped = with(format!("condition on {key} dropped"), without(all, n));
        let weaker = weaker(condition).into_iter();
        let weaker = weaker
            .map(move |weak| with(format!("{} {:?} on {key}", weak.operator, weak.values), replaced(all, n, &weak)));
        [dropped].into_iter().chain(weaker)
    });
    each.collect()
}

fn weaker(condition: &Condition) -> Vec<Condition> {
    let is_optional = condition.operator.ends_with("IfExists");
    let optional = Condition { operator: format!("{}IfExists", condition.operator), ..condition.clone() };
    let optional = (!is_optional).then_some(optional);
    let values = &condition.values;
    let fewer = (0..values.len()).map(|n| Condition { values: without(values, n), ..condition.clone() });
    let wider = values.iter().enumerate().flat_map(|(n, value)| {
        let like = move |wide: String| Condition {
            operator: "StringLike".into(),
            values: replaced(values, n, &wide),
            ..condition.clone()
        };
        wider_value(value).into_iter().map(like)
    });
    optional.into_iter().chain(fewer).chain(wider).collect()
}

fn wider_value(value: &str) -> Vec<String> {
    if value.starts_with("arn:") {
        return widened(value);
    }
    let parts: Vec<&str> = value.split('.').collect();
    let each = (0..parts.len().min(2)).map(|n| [&parts[..n], &["*"], &parts[n + 1..]].concat().join("."));
    each.chain(["*".to_owned(), format!("{value}*"), format!("*{value}")]).collect()
}

fn without<T: Clone>(all: &[T], n: usize) -> Vec<T> {
    [&all[..n], &all[n + 1..]].concat()
}

fn replaced<T: Clone>(all: &[T], n: usize, new: &T) -> Vec<T> {
    [&all[..n], std::slice::from_ref(new), &all[n + 1..]].concat()
}
