//! Evaluates one identity policy for one request.
//!
//! Resource policies, permissions boundaries, session policies and service control policies are not evaluated. Policy
//! elements that are not supported here panic.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::condition::Condition;
use super::pattern::{is_action, is_resource};

/// The strings of a policy element, which can be one string or a list.
pub type Texts = Vec<String>;

/// One authorization request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
pub struct Request {
    /// `service:Action`
    pub action: String,
    /// The ARN of the resource.
    pub resource: String,
    /// The values of the request context, by condition key.
    pub context: BTreeMap<String, Texts>,
}

impl Request {
    /// A request with an empty context.
    pub fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), context: BTreeMap::new() }
    }

    /// Adds a value of a condition key.
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.context.entry(key.to_owned()).or_default().push(value.into());
        self
    }

    /// The values of a condition key, empty if the key is missing.
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

/// The decision of a policy about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// At least one statement allows the request, and none denies it.
    Allowed,
    /// A statement denies the request, even if others allow it.
    Denied,
    /// No statement matches the request.
    NotGranted,
}

/// The actions or resources of a statement.
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
            _ => panic!("a statement needs either {name} or Not{name}: {statement:?}"),
        }
    }

    fn has(&self, matches: impl Fn(&str) -> bool) -> bool {
        match self {
            Set::These(patterns) => patterns.iter().any(|pattern| matches(pattern)),
            Set::AllBut(patterns) => !patterns.iter().any(|pattern| matches(pattern)),
        }
    }

    /// The patterns. Panics for `NotAction` and `NotResource`.
    pub fn these(&self) -> &Texts {
        match self {
            Set::These(patterns) => patterns,
            Set::AllBut(_) => panic!("NotAction and NotResource are not supported in the role"),
        }
    }
}

/// One policy statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The `Sid`, empty if it is missing.
    pub sid: String,
    /// Whether `Effect` is `Allow`.
    pub allows: bool,
    pub actions: Set,
    pub resources: Set,
    /// The statement applies only if all of these hold.
    pub conditions: Vec<Condition>,
}

impl Statement {
    fn read(value: &Value) -> Self {
        let map = value.as_object().expect("a statement is an object");
        for name in map.keys() {
            let known = ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"];
            assert!(known.contains(&name.as_str()), "{name} is not an element of an identity policy statement");
        }
        Self {
            sid: map.get("Sid").and_then(Value::as_str).unwrap_or_default().to_owned(),
            allows: match map["Effect"].as_str() {
                Some("Allow") => true,
                Some("Deny") => false,
                other => panic!("Effect is {other:?}"),
            },
            actions: Set::read(map, "Action"),
            resources: Set::read(map, "Resource"),
            conditions: map.get("Condition").map(conditions).unwrap_or_default(),
        }
    }

    /// Whether the statement applies to a request.
    pub fn matches(&self, request: &Request) -> bool {
        self.actions.has(|pattern| is_action(pattern, &request.action))
            && self.resources.has(|pattern| is_resource(pattern, &request.resource))
            && self.conditions.iter().all(|condition| condition.holds(request))
    }
}

/// A policy document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub statements: Vec<Statement>,
}

impl Policy {
    /// Parses a policy document.
    pub fn read(document: &Value) -> Self {
        assert_eq!(document["Version"], "2012-10-17", "the older version does not support policy variables");
        assert!(!document.to_string().contains("${"), "policy variables are not supported here");
        let statements = match &document["Statement"] {
            Value::Array(list) => list.iter().map(Statement::read).collect(),
            one => vec![Statement::read(one)],
        };
        Self { statements }
    }

    /// The decision about a request. A Deny overrides every Allow.
    pub fn decide(&self, request: &Request) -> Decision {
        let matching: Vec<_> = self.statements.iter().filter(|statement| statement.matches(request)).collect();
        match matching.iter().all(|statement| statement.allows) {
            _ if matching.is_empty() => Decision::NotGranted,
            true => Decision::Allowed,
            false => Decision::Denied,
        }
    }

    /// Whether the decision about a request is `Allowed`.
    pub fn allows(&self, request: &Request) -> bool {
        self.decide(request) == Decision::Allowed
    }
}

fn texts(value: &Value) -> Texts {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Bool(flag) => vec![flag.to_string()],
        other => panic!("{other} is neither a string nor a list of strings"),
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
