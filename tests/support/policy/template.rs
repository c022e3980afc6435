//! template.yaml as CloudFormation would see it, for given parameters in a given place.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Map, Value};
use yaml_serde::Value as Yaml;

use super::evaluate::Policy;

/// Where a stack is, and what its own resources turned out to be: all that the parameters don't say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// `aws`, `aws-cn`, …
    pub partition: String,
    /// `us-east-1`, …
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// The stack's name.
    pub stack: String,
    /// `Resource.Attribute`, as far as the template asks for it; the `Ref` of a resource is under its name alone.
    pub attributes: BTreeMap<String, String>,
}

impl Place {
    /// A stack called coiled.
    pub fn new(partition: &str, region: &str, account: &str) -> Self {
        let of = |service: &str, rest: &str| format!("arn:{partition}:{service}:{region}:{account}:{rest}");
        let attributes = [
            ("TokenSecret.Id", of("secretsmanager", "secret:TokenSecret-a1b2c3-AbCdEf")),
            ("FunctionLogs.Arn", of("logs", "log-group:coiled-FunctionLogs-d4e5f6:*")),
        ];
        Self {
            partition: partition.into(),
            region: region.into(),
            account: account.into(),
            stack: "coiled".into(),
            attributes: attributes.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    /// The value of a pseudo parameter; `AWS::NoValue` is none.
    pub(super) fn pseudo(&self, name: &str) -> Option<String> {
        let value = match name {
            "AWS::Partition" => self.partition.clone(),
            "AWS::Region" => self.region.clone(),
            "AWS::AccountId" => self.account.clone(),
            "AWS::StackName" => self.stack.clone(),
            "AWS::StackId" => {
                let Self { partition, region, account, stack, .. } = self;
                format!(
                    "arn:{partition}:cloudformation:{region}:{account}:stack/{stack}/11111111-2222-4333-8444-555555555555"
                )
            }
            "AWS::URLSuffix" if self.partition == "aws-cn" => "amazonaws.com.cn".into(),
            "AWS::URLSuffix" => "amazonaws.com".into(),
            "AWS::NoValue" => return None,
            other => panic!("the pseudo parameter {other} is not known here"),
        };
        Some(value)
    }
}

/// The parameters that a person sets; the others have their defaults.
pub type Parameters = BTreeMap<String, String>;

/// The template, its functions in their long form.
pub struct Template {
    /// What the file says.
    pub text: String,
    /// The same as a value.
    pub value: Value,
}

impl Template {
    /// The one that is shipped.
    pub fn shipped() -> &'static Self {
        static SHIPPED: OnceLock<Template> = OnceLock::new();
        SHIPPED.get_or_init(|| {
            let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("template.yaml");
            Self::read(std::fs::read_to_string(path).expect("template.yaml"))
        })
    }

    /// Reads a template.
    pub fn read(text: String) -> Self {
        let yaml: Yaml = yaml_serde::from_str(&text).expect("the template is YAML");
        Self { value: long_form(yaml), text }
    }

    /// Whether CloudFormation would take this for a parameter.
    pub fn takes(&self, name: &str, value: &str) -> bool {
        let parameter = self.value["Parameters"].get(name).unwrap_or_else(|| panic!("there is no parameter {name}"));
        let is_like = |pattern: &Value| {
            // The whole value has to match.
            let pattern = regex_lite::Regex::new(&format!("^(?:{})$", plain(pattern))).expect("a pattern");
            pattern.is_match(value)
        };
        let is_one_of = |values: &Value| values.as_array().expect("a list").iter().any(|one| plain(one) == value);
        let fits = |longest: &Value| value.len() as u64 <= longest.as_u64().expect("a number");
        parameter.get("AllowedPattern").is_none_or(is_like)
            && parameter.get("AllowedValues").is_none_or(is_one_of)
            && parameter.get("MaxLength").is_none_or(fits)
    }

    /// The value of each parameter: what was set, else its default.
    fn all(&self, set: &Parameters) -> Parameters {
        let declared = self.value["Parameters"].as_object().expect("there are parameters");
        for (name, value) in set {
            assert!(self.takes(name, value), "the template does not take {value:?} for {name}");
        }
        let value = |(name, parameter): (&String, &Value)| {
            let default = || parameter.get("Default").map(plain).unwrap_or_else(|| panic!("{name} has no default"));
            (name.clone(), set.get(name).cloned().unwrap_or_else(default))
        };
        declared.iter().map(value).collect()
    }

    /// The stack that comes of these parameters.
    pub fn stack<'a>(&'a self, set: &Parameters, place: &'a Place) -> Stack<'a> {
        Stack { template: &self.value, parameters: self.all(set), place }
    }
}

/// A template with parameters, in a place.
pub struct Stack<'a> {
    pub(super) template: &'a Value,
    pub(super) parameters: Parameters,
    pub(super) place: &'a Place,
}

impl Stack<'_> {
    /// A resource's properties; none where its condition does not hold.
    pub fn properties(&self, resource: &str) -> Option<Value> {
        let resource = &self.template["Resources"][resource];
        assert!(resource.is_object(), "there is no such resource");
        let is_made = resource.get("Condition").is_none_or(|name| self.condition(&plain(name)));
        is_made.then(|| self.render(&resource["Properties"]).expect("properties"))
    }

    /// The names of the conditions that hold.
    pub fn conditions(&self) -> Vec<String> {
        let all = self.template["Conditions"].as_object().expect("there are conditions");
        all.keys().filter(|name| self.condition(name)).cloned().collect()
    }

    /// What CloudFormation says of these parameters before it makes anything: the assertions of rules that do not hold.
    pub fn broken_rules(&self) -> Vec<String> {
        let rules = self.template["Rules"].as_object().expect("there are rules").values();
        let in_force = rules.filter(|rule| rule.get("RuleCondition").is_none_or(|condition| self.truth(condition)));
        let assertions = in_force.flat_map(|rule| rule["Assertions"].as_array().expect("a rule asserts something"));
        let broken = assertions.filter(|assertion| !self.truth(&assertion["Assert"]));
        broken.map(|assertion| plain(&assertion["AssertDescription"])).collect()
    }

    /// All resources and outputs that are made, with nothing left to compute.
    pub fn everything(&self) -> Value {
        let names = self.template["Resources"].as_object().expect("there are resources").keys();
        let made = names.filter_map(|name| Some((name.clone(), self.properties(name)?)));
        let outputs = self.render(&self.template["Outputs"]).expect("outputs");
        Value::Object(made.chain([("Outputs".to_owned(), outputs)]).collect())
    }

    /// The policy of the function's role: it has this one, inline, and no other.
    pub fn role_policy(&self) -> Policy {
        let role = self.properties("FunctionRole").expect("the role is always there");
        assert!(role.get("ManagedPolicyArns").is_none(), "a managed policy can't be judged here");
        let [policy] = role["Policies"].as_array().expect("it has policies").as_slice() else {
            panic!("the role has one policy")
        };
        Policy::read(&policy["PolicyDocument"])
    }
}

/// A scalar as CloudFormation reads it.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        other => panic!("{other} is no scalar"),
    }
}

/// `!Sub x` as `{"Fn::Sub": "x"}`, and so on: JSON knows no tags.
fn long_form(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = tag.trim_start_matches('!');
            let value = match (name, long_form(tagged.value)) {
                // The short form alone has a dot.
                ("GetAtt", Value::String(text)) => text.split('.').map(Value::from).collect(),
                (_, value) => value,
            };
            let name = if matches!(name, "Ref" | "Condition") { name.to_owned() } else { format!("Fn::{name}") };
            Value::Object(Map::from_iter([(name, value)]))
        }
        Yaml::Mapping(map) => {
            let key = |key: Yaml| key.as_str().expect("a key is a text").to_owned();
            Value::Object(map.into_iter().map(|(name, value)| (key(name), long_form(value))).collect())
        }
        Yaml::Sequence(items) => items.into_iter().map(long_form).collect(),
        scalar => serde_json::to_value(scalar).expect("a scalar"),
    }
}
