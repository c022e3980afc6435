//! What one identity policy says to one request.
//!
//! Only that: no resource policy, permissions boundary, session policy or organisation's policy is part of it. What this
//! does not know is a panic.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::condition::Condition;
use super::pattern::{is_action, is_resource};

/// One or many texts: in a policy both are written where many may stand.
pub type Texts = Vec<String>;

/// What IAM is asked about one call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
pub struct Request {
    /// `service:Action`
    pub action: String,
    /// An ARN.
    pub resource: String,
    /// What else is known of the request, by condition key.
    pub context: BTreeMap<String, Texts>,
}

impl Request {
    /// A request without context.
    pub fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), context: BTreeMap::new() }
    }

    /// The same with one more thing known.
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.context.entry(key.to_owned()).or_default().push(value.into());
        self
    }

    /// The values of a condition key; none where it is missing.
    pub(super) fn context(&self, key: &str) -> &[String] {
        let found = self.context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, values)| values.as_slice()).unwrap_or_default()
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)?;
        self.context.iter().try_for_each(|(key, values)| write!(f, ", {key} {}", values.join(" ")))
    }
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it, and none denies it.
    Allowed,
    /// A statement denies it, whatever others allow.
    Denied,
    /// No statement is about it.
    NotGranted,
}

/// Actions or resources: these, or all but these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Set {
    /// `Action`, `Resource`
    These(Texts),
    /// `NotAction`, `NotResource`
    AllBut(Texts),
}

impl Set {
    fn read(statement: &Map<String, Value>, name: &str) -> Self {
        match (statement.get(name), statement.get(&format!("Not{name}"))) {
            (Some(these), None) => Set::These(texts(these)),
            (None, Some(not)) => Set::AllBut(texts(not)),
            _ => panic!("a statement has either {name} or Not{name}: {statement:?}"),
        }
    }

    fn has(&self, matches: impl Fn(&str) -> bool) -> bool {
        match self {
            Set::These(patterns) => patterns.iter().any(|pattern| matches(pattern)),
            Set::AllBut(patterns) => !patterns.iter().any(|pattern| matches(pattern)),
        }
    }

    /// The patterns; panics for an exclusion.
    pub fn these(&self) -> &Texts {
        match self {
            Set::These(patterns) => patterns,
            Set::AllBut(_) => panic!("what is excluded names nothing"),
        }
    }
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its name; empty without.
    pub sid: String,
    /// Whether it allows.
    pub allows: bool,
    /// What may be done.
    pub actions: Set,
    /// With what.
    pub resources: Set,
    /// If all of these hold.
    pub conditions: Vec<Condition>,
}

impl Statement {
    fn read(value: &Value) -> Self {
        let map = value.as_object().expect("a statement is an object");
        for name in map.keys() {
            let known = ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"];
            assert!(known.contains(&name.as_str()), "{name} has no place in a statement of an identity policy");
        }
        Self {
            sid: map.get("Sid").and_then(Value::as_str).unwrap_or_default().to_owned(),
            allows: match map["Effect"].as_str() {
                Some("Allow") => true,
                Some("Deny") => false,
                other => panic!("an Effect of {other:?}"),
            },
            actions: Set::read(map, "Action"),
            resources: Set::read(map, "Resource"),
            conditions: map.get("Condition").map(conditions).unwrap_or_default(),
        }
    }

    /// Whether it is about a request.
    pub fn matches(&self, request: &Request) -> bool {
        self.actions.has(|pattern| is_action(pattern, &request.action))
            && self.resources.has(|pattern| is_resource(pattern, &request.resource))
            && self.conditions.iter().all(|condition| condition.holds(request))
    }
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its statements.
    pub statements: Vec<Statement>,
}

impl Policy {
    /// Reads a document.
    pub fn read(document: &Value) -> Self {
        assert_eq!(document["Version"], "2012-10-17", "the older version knows no variables");
        assert!(!document.to_string().contains("${"), "policy variables are not known here");
        let statements = match &document["Statement"] {
            Value::Array(list) => list.iter().map(Statement::read).collect(),
            one => vec![Statement::read(one)],
        };
        Self { statements }
    }

    /// Its decision: a Deny beats every Allow, and what nothing is about is not granted.
    pub fn decide(&self, request: &Request) -> Decision {
        let about: Vec<_> = self.statements.iter().filter(|statement| statement.matches(request)).collect();
        match about.iter().all(|statement| statement.allows) {
            _ if about.is_empty() => Decision::NotGranted,
            true => Decision::Allowed,
            false => Decision::Denied,
        }
    }

    /// Whether it lets a request pass.
    pub fn allows(&self, request: &Request) -> bool {
        self.decide(request) == Decision::Allowed
    }
}

fn texts(value: &Value) -> Texts {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Bool(flag) => vec![flag.to_string()],
        other => panic!("{other} is neither a text nor a list of texts"),
    }
}

fn conditions(value: &Value) -> Vec<Condition> {
    let operators = value.as_object().expect("a Condition is an object").iter();
    let read = |(operator, keys): (&String, &Value)| {
        let keys = keys.as_object().expect("an operator has keys").clone();
        let operator = operator.clone();
        keys.into_iter().map(move |(key, value)| Condition { operator: operator.clone(), key, values: texts(&value) })
    };
    operators.flat_map(read).collect()
}
