//! The CloudFormation intrinsic functions that the template uses. Any other function panics.

use serde_json::{Map, Value};

use super::template::{Parameters, Stack, plain};

impl Stack<'_> {
    /// The value with all functions computed, or `None` for `AWS::NoValue`.
    pub(super) fn render(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Object(map) => match function(map) {
                Some((name, argument)) => self.call(name, argument),
                None => Some(Value::Object(
                    map.iter().filter_map(|(name, value)| Some((name.clone(), self.render(value)?))).collect(),
                )),
            },
            Value::Array(items) => Some(items.iter().filter_map(|item| self.render(item)).collect()),
            scalar => Some(scalar.clone()),
        }
    }

    /// Whether a condition of the template holds.
    pub(super) fn condition(&self, name: &str) -> bool {
        let condition = self.template["Conditions"].get(name);
        self.truth(condition.unwrap_or_else(|| panic!("the template has no condition {name}")))
    }

    fn call(&self, name: &str, argument: &Value) -> Option<Value> {
        let text = |text: String| Some(Value::String(text));
        match name {
            "Ref" => self.reference(&plain(argument)).map(Value::String),
            "Fn::GetAtt" => text(self.attribute(&self.texts(argument).join("."))),
            "Fn::Sub" => text(self.substitute(argument)),
            "Fn::If" => {
                let [condition, then, otherwise] = list(argument);
                self.render(if self.condition(&plain(condition)) { then } else { otherwise })
            }
            "Fn::Join" => {
                let [separator, parts] = list(argument);
                text(self.texts(parts).join(&plain(separator)))
            }
            "Fn::Select" => {
                let [index, from] = list(argument);
                let index: usize = plain(index).parse().expect("an index is a number");
                text(self.texts(from)[index].clone())
            }
            "Fn::Split" => {
                let [separator, from] = list(argument);
                let from = self.text(from);
                Some(from.split(&plain(separator)).map(Value::from).collect())
            }
            other => panic!("the function {other} is not supported"),
        }
    }

    pub(super) fn truth(&self, value: &Value) -> bool {
        let map = value.as_object().expect("a condition is a function");
        let (name, argument) = function(map).expect("a condition is a function");
        match name {
            "Condition" => self.condition(&plain(argument)),
            "Fn::Equals" => {
                let [left, right] = list(argument);
                self.text(left) == self.text(right)
            }
            "Fn::Not" => {
                let [one] = list(argument);
                !self.truth(one)
            }
            "Fn::And" => argument.as_array().expect("a list").iter().all(|one| self.truth(one)),
            "Fn::Or" => argument.as_array().expect("a list").iter().any(|one| self.truth(one)),
            other => panic!("the function {other} is not supported"),
        }
    }

    fn reference(&self, name: &str) -> Option<String> {
        match self.parameters.get(name) {
            Some(value) => Some(value.clone()),
            None if name.starts_with("AWS::") => self.place.pseudo(name),
            None => Some(self.attribute(name)),
        }
    }

    /// An attribute of a resource. If the stack does not define it, the result is a placeholder.
    fn attribute(&self, name: &str) -> String {
        let resource = name.split('.').next().unwrap_or_default();
        assert!(self.template["Resources"].get(resource).is_some(), "{name} is neither a parameter nor a resource");
        self.place.attributes.get(name).cloned().unwrap_or_else(|| format!("<{name}>"))
    }

    /// Computes `Fn::Sub`: `${Name}`, `${Resource.Attribute}`, `${AWS::Pseudo}`, and names from its own variable map.
    fn substitute(&self, argument: &Value) -> String {
        let (template, own) = match argument.as_array().map(Vec::as_slice) {
            Some([template, own]) => (plain(template), self.own_names(own)),
            _ => (plain(argument), Parameters::new()),
        };
        assert!(!template.contains("${!"), "escaped names are not supported here");
        let mut parts = template.split("${");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').expect("a name ends");
            let value = own.get(name).cloned().or_else(|| self.reference(name));
            text += &value.unwrap_or_else(|| panic!("{name} has no value"));
            text += rest;
        }
        text
    }

    fn own_names(&self, own: &Value) -> Parameters {
        let own = own.as_object().expect("names with values");
        own.iter().map(|(name, value)| (name.clone(), self.text(value))).collect()
    }

    fn text(&self, value: &Value) -> String {
        plain(&self.render(value).expect("a value"))
    }

    fn texts(&self, value: &Value) -> Vec<String> {
        let list = self.render(value).expect("a value");
        list.as_array().expect("a list").iter().map(plain).collect()
    }
}

/// The name and argument of the function, if the object is a function call.
fn function(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = map.iter().next()?;
    // `Condition` with a string is a function. In a policy statement, `Condition` is an object.
    let is_function = name == "Ref" || name.starts_with("Fn::") || (name == "Condition" && argument.is_string());
    (map.len() == 1 && is_function).then_some((name, argument))
}

fn list<const N: usize>(argument: &Value) -> [&Value; N] {
    let items: Vec<&Value> = argument.as_array().expect("a list").iter().collect();
    items.try_into().expect("the right number of arguments")
}
