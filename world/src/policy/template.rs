//! Renders template.yaml as CloudFormation does, for given parameters in a given place.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Map, Value};
use yaml_serde::Value as Yaml;

use super::evaluate::Policy;

/// The inputs of rendering other than the parameters: where the stack is, and the attributes of its resources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// `aws`, `aws-cn`, …
    pub partition: String,
    /// `us-east-1`, …
    pub region: String,
    /// The account ID, twelve digits.
    pub account: String,
    /// The stack's name.
    pub stack: String,
    /// Attribute values by `Resource.Attribute`. The key of a resource's `Ref` is its name alone.
    pub attributes: BTreeMap<String, String>,
}

impl Place {
    /// A stack named `coiled`.
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

    /// The value of a pseudo parameter, or `None` for `AWS::NoValue`.
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
            other => panic!("the pseudo parameter {other} is not supported"),
        };
        Some(value)
    }
}

/// The parameters that are set explicitly. All others have their defaults.
pub type Parameters = BTreeMap<String, String>;

/// A template whose functions are in their long form.
pub struct Template {
    /// The text of the file.
    pub text: String,
    pub value: Value,
}

impl Template {
    /// This project's template.yaml.
    pub fn shipped() -> &'static Self {
        static SHIPPED: OnceLock<Template> = OnceLock::new();
        SHIPPED.get_or_init(|| {
            Self::read(std::fs::read_to_string(crate::project().join("template.yaml")).expect("template.yaml"))
        })
    }

    /// Parses a template.
    pub fn read(text: String) -> Self {
        let yaml: Yaml = yaml_serde::from_str(&text).expect("the template is YAML");
        Self { value: long_form(yaml), text }
    }

    /// Whether CloudFormation accepts this value for a parameter.
    pub fn takes(&self, name: &str, value: &str) -> bool {
        let parameter = self.value["Parameters"].get(name).unwrap_or_else(|| panic!("unknown parameter {name}"));
        let is_like = |pattern: &Value| {
            // CloudFormation matches AllowedPattern against the whole value.
            let pattern = regex_lite::Regex::new(&format!("^(?:{})$", plain(pattern))).expect("a pattern");
            pattern.is_match(value)
        };
        let is_one_of = |values: &Value| values.as_array().expect("a list").iter().any(|one| plain(one) == value);
        let fits = |longest: &Value| value.chars().count() as u64 <= longest.as_u64().expect("a number");
        parameter.get("AllowedPattern").is_none_or(is_like)
            && parameter.get("AllowedValues").is_none_or(is_one_of)
            && parameter.get("MaxLength").is_none_or(fits)
    }

    /// The value of each parameter: the explicit value, or otherwise the default.
    fn all(&self, set: &Parameters) -> Parameters {
        let declared = self.value["Parameters"].as_object().expect("the template has parameters");
        for (name, value) in set {
            assert!(self.takes(name, value), "the template does not accept {value:?} for {name}");
        }
        let value = |(name, parameter): (&String, &Value)| {
            let default = || parameter.get("Default").map(plain).unwrap_or_else(|| panic!("{name} has no default"));
            (name.clone(), set.get(name).cloned().unwrap_or_else(default))
        };
        declared.iter().map(value).collect()
    }

    /// The stack with these parameters.
    pub fn stack<'a>(&'a self, set: &Parameters, place: &'a Place) -> Stack<'a> {
        Stack { template: &self.value, parameters: self.all(set), place }
    }
}

/// A template with its parameters and place.
pub struct Stack<'a> {
    pub(super) template: &'a Value,
    pub(super) parameters: Parameters,
    pub(super) place: &'a Place,
}

impl Stack<'_> {
    /// The properties of a resource, or `None` if its condition does not hold.
    pub fn properties(&self, resource: &str) -> Option<Value> {
        let resource = &self.template["Resources"][resource];
        assert!(resource.is_object(), "the template has no such resource");
        let is_created = resource.get("Condition").is_none_or(|name| self.condition(&plain(name)));
        is_created.then(|| self.render(&resource["Properties"]).expect("properties"))
    }

    /// The names of the conditions that hold.
    pub fn conditions(&self) -> Vec<String> {
        let all = self.template["Conditions"].as_object().expect("the template has conditions");
        all.keys().filter(|name| self.condition(name)).cloned().collect()
    }

    /// The failed assertions of `Rules`. CloudFormation reports these texts before it creates any resource.
    pub fn broken_rules(&self) -> Vec<String> {
        let rules = self.template["Rules"].as_object().expect("the template has rules").values();
        let active = rules.filter(|rule| rule.get("RuleCondition").is_none_or(|condition| self.truth(condition)));
        let assertions = active.flat_map(|rule| rule["Assertions"].as_array().expect("a rule has assertions"));
        let broken = assertions.filter(|assertion| !self.truth(&assertion["Assert"]));
        broken.map(|assertion| plain(&assertion["AssertDescription"])).collect()
    }

    /// All created resources and outputs, fully rendered.
    pub fn everything(&self) -> Value {
        let names = self.template["Resources"].as_object().expect("the template has resources").keys();
        let created = names.filter_map(|name| Some((name.clone(), self.properties(name)?)));
        let outputs = self.render(&self.template["Outputs"]).expect("outputs");
        Value::Object(created.chain([("Outputs".to_owned(), outputs)]).collect())
    }

    /// The policy of the function's role. Panics unless the role has exactly one inline policy and no managed policy.
    pub fn role_policy(&self) -> Policy {
        let role = self.properties("FunctionRole").expect("the role has no condition");
        assert!(role.get("ManagedPolicyArns").is_none(), "managed policies are not supported here");
        let [policy] = role["Policies"].as_array().expect("the role has a list of policies").as_slice() else {
            panic!("the role must have exactly one inline policy")
        };
        Policy::read(&policy["PolicyDocument"])
    }
}

/// A scalar as a string, as CloudFormation reads it.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        other => panic!("{other} is not a scalar"),
    }
}

/// Converts short-form functions to the long form, for example `!Sub x` to `{"Fn::Sub": "x"}`. JSON has no tags.
fn long_form(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = tag.trim_start_matches('!');
            let value = match (name, long_form(tagged.value)) {
                // Only the short form of GetAtt joins resource and attribute with a dot.
                ("GetAtt", Value::String(text)) => text.split('.').map(Value::from).collect(),
                (_, value) => value,
            };
            let name = if matches!(name, "Ref" | "Condition") { name.to_owned() } else { format!("Fn::{name}") };
            Value::Object(Map::from_iter([(name, value)]))
        }
        Yaml::Mapping(map) => {
            let key = |key: Yaml| key.as_str().expect("a key is a string").to_owned();
            Value::Object(map.into_iter().map(|(name, value)| (key(name), long_form(value))).collect())
        }
        Yaml::Sequence(items) => items.into_iter().map(long_form).collect(),
        scalar => serde_json::to_value(scalar).expect("a scalar"),
    }
}
