//! Reads CloudFormation's loosely typed values and collects all validation errors.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::error::InvalidProperty;
use crate::redact::shorten;

/// Error texts never contain the values of these properties. Someone may enter a token instead of its secret's ARN, or
/// a server URL with a password.
const MAY_HOLD_A_SECRET: [&str; 4] =
    ["CoiledTokenSecretArn", "DockerHubTokenSecretArn", "CoiledServer", "DockerHubUri"];

/// Reads properties by name. It collects the validation errors. To find unknown properties, it also collects the names
/// that it was asked for.
///
/// CloudFormation sends every scalar as a string. Other callers send JSON types, which are accepted too. An empty
/// string means "not given", because that is the value of a template parameter that was left empty.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    map: &'a Map<String, Value>,
    /// The position inside a list, prepended to each name in errors.
    prefix: String,
    known: BTreeSet<&'static str>,
    invalid: Vec<InvalidProperty>,
}

impl<'a> Reader<'a> {
    /// `prefix` is the position of the object, such as `Ingress[0].`. It is empty for the properties themselves.
    pub(crate) fn new(map: &'a Map<String, Value>, prefix: impl Into<String>) -> Self {
        Self { map, prefix: prefix.into(), known: BTreeSet::new(), invalid: Vec::new() }
    }

    /// Records a validation error. `problem` reads as a predicate after the name, such as `is required`.
    pub(crate) fn reject(&mut self, name: &str, problem: impl Into<String>) {
        self.invalid.push(InvalidProperty::new(format!("{}{name}", self.prefix), problem));
    }

    /// Adds the errors of a reader for a nested object.
    pub(crate) fn absorb(&mut self, invalid: Vec<InvalidProperty>) {
        self.invalid.extend(invalid);
    }

    /// Accepts a property with any value.
    pub(crate) fn ignore(&mut self, name: &'static str) {
        self.known.insert(name);
    }

    /// Whether a property is given, valid or not.
    pub(crate) fn given(&self, name: &str) -> bool {
        match self.map.get(name) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.trim().is_empty(),
            Some(_) => true,
        }
    }

    /// A scalar as text. `None` if it is not given.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.insert(name);
        match self.map.get(name)? {
            Value::Null => None,
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) => Some(text.clone()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Number(number) => Some(number.to_string()),
            Value::Array(_) | Value::Object(_) => {
                self.reject(name, "must be a string");
                None
            }
        }
    }

    /// A scalar as text, with an error if it is not given.
    pub(crate) fn required(&mut self, name: &'static str) -> Option<String> {
        let before = self.invalid.len();
        let text = self.text(name);
        if text.is_none() && self.invalid.len() == before {
            self.reject(name, "is required");
        }
        text
    }

    /// A parsed scalar, with an error if it does not parse. `None` if it is not given.
    pub(crate) fn parsed<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        self.parse(name, &text, parse)
    }

    /// Parses a text that was already read, such as a default.
    pub(crate) fn parse<T>(
        &mut self,
        name: &'static str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            // The value may be the secret itself, so the error does not repeat it.
            Err(problem) if MAY_HOLD_A_SECRET.contains(&name) => {
                self.reject(name, problem);
                None
            }
            Err(problem) => {
                self.reject(name, format!("\"{}\" {problem}", shorten(text, 100)));
                None
            }
        }
    }

    /// `true` or `false`, as a string or as a JSON boolean.
    pub(crate) fn flag(&mut self, name: &'static str, default: bool) -> bool {
        let flag = self.parsed(name, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("must be true or false".into()),
        });
        flag.unwrap_or(default)
    }

    /// A list or an object, as JSON or as a string that contains JSON. `None` if it is not given.
    ///
    /// Python prints the same lists with single quotes. Valid values do not contain quotes themselves, so replacing the
    /// quotes is safe.
    pub(crate) fn json(&mut self, name: &'static str) -> Option<Value> {
        self.known.insert(name);
        let value = match self.map.get(name)? {
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => {
                serde_json::from_str(text).or_else(|_| serde_json::from_str(&text.replace('\'', "\"")))
            }
            value => Ok(value.clone()),
        };
        match value {
            Ok(Value::Null) => None,
            Ok(value @ (Value::Array(_) | Value::Object(_))) => Some(value),
            _ => {
                self.reject(name, "must be a list, or a string with a JSON list");
                None
            }
        }
    }

    /// A list, as JSON or as a string that contains JSON. A single object is a list of one. Empty if it is not given.
    pub(crate) fn list(&mut self, name: &'static str) -> Vec<Value> {
        self.json(name).map(list_of).unwrap_or_default()
    }

    /// A list of scalars. It may be given as a list, as a single scalar, or as one string with commas between them. Any
    /// other value becomes its JSON text. Empty if it is not given.
    pub(crate) fn scalars(&mut self, name: &'static str) -> Vec<String> {
        self.known.insert(name);
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned());
        match self.map.get(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(list)) if list.trim_start().starts_with('[') => {
                self.list(name).iter().map(text).collect()
            }
            Some(Value::String(list)) if list.trim().is_empty() => Vec::new(),
            Some(Value::String(list)) => list.split(',').map(|item| item.trim().to_owned()).collect(),
            Some(value) => list_of(value.clone()).iter().map(text).collect(),
        }
    }

    /// All validation errors. A property that nobody read is reported as unknown.
    pub(crate) fn finish(mut self) -> Vec<InvalidProperty> {
        let unknown: Vec<&String> = self.map.keys().filter(|name| !self.known.contains(name.as_str())).collect();
        for name in unknown {
            self.reject(name, "is not a property of Custom::CoiledConnection");
        }
        self.invalid
    }
}

/// The items of a list. Anything else is a list of one.
pub(crate) fn list_of(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        other => vec![other],
    }
}

/// The fields of an object. Ignores the case of the fields in `names`, and fails if one of these is given twice.
pub(crate) fn in_any_case(map: &Map<String, Value>, names: &[&'static str]) -> Result<Map<String, Value>, String> {
    let mut fields = Map::new();
    for (name, value) in map {
        let known = names.iter().find(|known| known.eq_ignore_ascii_case(name));
        let name = known.map_or(name.as_str(), |known| known);
        if fields.insert(name.to_owned(), value.clone()).is_some() {
            return Err(format!("contains {name} twice"));
        }
    }
    Ok(fields)
}
