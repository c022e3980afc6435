//! Reads CloudFormation's loose values, and collects every fault on the way.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::error::InvalidProperty;
use crate::redact::shorten;

/// Properties whose values are never shown: a token in place of its secret's ARN, a password in a server's address.
const MAY_HOLD_A_SECRET: [&str; 3] = ["CoiledTokenSecretArn", "DockerHubTokenSecretArn", "CoiledServer"];

/// A reader over the properties that remembers what it was asked for and what was wrong.
///
/// CloudFormation hands every scalar over as a string, other callers send the real types; an empty string is a
/// template's parameter that was left empty, and so means "not given".
#[derive(Debug)]
pub struct Reader<'a> {
    map: &'a Map<String, Value>,
    /// Put before each name: the place inside a list.
    prefix: String,
    known: BTreeSet<&'static str>,
    faults: Vec<InvalidProperty>,
}

impl<'a> Reader<'a> {
    /// A reader over an object; `prefix` is where it stands, such as `Ingress[0].`.
    pub fn new(map: &'a Map<String, Value>, prefix: impl Into<String>) -> Self {
        Self { map, prefix: prefix.into(), known: BTreeSet::new(), faults: Vec::new() }
    }

    /// Notes a fault of a property.
    pub fn fault(&mut self, name: &str, problem: impl Into<String>) {
        self.faults.push(InvalidProperty::new(format!("{}{name}", self.prefix), problem));
    }

    /// Takes over the faults of a reader further inside.
    pub fn absorb(&mut self, faults: Vec<InvalidProperty>) {
        self.faults.extend(faults);
    }

    /// A property that may be there, whatever it holds.
    pub fn ignore(&mut self, name: &'static str) {
        self.known.insert(name);
    }

    /// Whether there is anything under a name, sound or not.
    pub fn given(&self, name: &str) -> bool {
        match self.map.get(name) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.trim().is_empty(),
            Some(_) => true,
        }
    }

    /// A scalar as text; `None` if it was not given.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.insert(name);
        match self.map.get(name)? {
            Value::Null => None,
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) => Some(text.clone()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Number(number) => Some(number.to_string()),
            Value::Array(_) | Value::Object(_) => {
                self.fault(name, "takes a string");
                None
            }
        }
    }

    /// A scalar that has to be given.
    pub fn required(&mut self, name: &'static str) -> Option<String> {
        let before = self.faults.len();
        let text = self.text(name);
        if text.is_none() && self.faults.len() == before {
            self.fault(name, "is required");
        }
        text
    }

    /// A scalar that parses into something; a fault if it does not.
    pub fn parsed<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        self.parse(name, &text, parse)
    }

    /// Parses a text that was read before.
    pub fn parse<T>(
        &mut self,
        name: &'static str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            // A person may have put the secret itself where its address belongs: that is not repeated.
            Err(problem) if MAY_HOLD_A_SECRET.contains(&name) => {
                self.fault(name, problem);
                None
            }
            Err(problem) => {
                self.fault(name, format!("\"{}\" {problem}", shorten(text, 100)));
                None
            }
        }
    }

    /// `true` or `false`, as text or as the real thing.
    pub fn flag(&mut self, name: &'static str, default: bool) -> bool {
        let flag = self.parsed(name, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("is neither true nor false".into()),
        });
        flag.unwrap_or(default)
    }

    /// A list, or the JSON text of one.
    pub fn list(&mut self, name: &'static str) -> Vec<Value> {
        self.known.insert(name);
        match self.map.get(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items.clone(),
            Some(Value::String(text)) if text.trim().is_empty() => Vec::new(),
            Some(Value::String(text)) => match serde_json::from_str(text) {
                Ok(Value::Array(items)) => items,
                _ => self.no_list(name),
            },
            Some(_) => self.no_list(name),
        }
    }

    fn no_list(&mut self, name: &'static str) -> Vec<Value> {
        self.fault(name, "takes a list, or the JSON text of a list");
        Vec::new()
    }

    /// Ends the reading: whatever was never asked for is unknown.
    pub fn finish(mut self) -> Vec<InvalidProperty> {
        let unknown: Vec<&String> = self.map.keys().filter(|name| !self.known.contains(name.as_str())).collect();
        for name in unknown {
            self.fault(name, "is not a property of Custom::CoiledConnection");
        }
        self.faults
    }
}
