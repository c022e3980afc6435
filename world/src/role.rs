//! Reconstructs the stack of an event: which parameters of template.yaml produce the event's properties.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::World;
use super::aws::Role;
use super::policy::template::{Parameters, Place, Template};

pub const LOG_GROUP: &str = "/aws/lambda/coiled";

impl World {
    /// Gives the function the role that CloudFormation would create in this event's stack.
    pub fn deploy(&self, event: &Value) {
        let group = self.log_group();
        self.aws.set_role(Role::new(self.parameters(event), self.place(), self.role_lacks_something));
        self.aws.write_log(&group);
    }

    /// The environment variables that the function has in the stack with these properties.
    pub fn environment(&self, properties: &Value) -> BTreeMap<String, String> {
        let mut parameters = self.parameters(&json!({"ResourceProperties": properties}));
        for name in ["CoiledServer", "Registry", "DockerHubUsername", "DockerHubUri"] {
            parameters.extend(properties[name].as_str().map(|value| (name.to_owned(), value.to_owned())));
        }
        let place = self.place();
        let function = Template::shipped().stack(&parameters, &place).properties("Function").unwrap();
        let variables = function["Environment"]["Variables"].as_object().unwrap();
        variables.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    }

    fn log_group(&self) -> String {
        format!("arn:aws:logs:us-east-1:{}:log-group:{LOG_GROUP}", self.aws.account())
    }

    fn place(&self) -> Place {
        let mut place = Place::new("aws", "us-east-1", self.aws.account());
        place.attributes.insert("TokenSecret.Id".into(), self.secret_arn.clone());
        place.attributes.insert("FunctionLogs.Arn".into(), format!("{}:*", self.log_group()));
        place
    }

    /// The parameters that the role depends on. A property value that the template rejects cannot come from the
    /// template, so its parameter keeps the default.
    fn parameters(&self, event: &Value) -> Parameters {
        let property = |name: &str| event["ResourceProperties"][name].as_str().filter(|value| !value.is_empty());
        let mut parameters = Parameters::new();
        let mut set = |name: &str, value: Option<String>| {
            if let Some(value) = value.filter(|value| Template::shipped().takes(name, value)) {
                parameters.insert(name.to_owned(), value);
            }
        };
        for name in ["UserName", "UserPath", "PermissionsBoundaryArn", "DockerHubTokenSecretArn"] {
            set(name, property(name).map(str::to_owned));
        }
        // The stack creates the world's own secret from CoiledToken. Any other secret is passed by its ARN.
        let token = property("CoiledTokenSecretArn").filter(|secret| **secret != self.secret_arn);
        match token {
            Some(own) => set("CoiledTokenSecretArn", Some(own.to_owned())),
            None => set("CoiledToken", Some("pasted".to_owned())),
        }
        let key = |secret: Option<&str>| {
            secret.and_then(|secret| self.aws.key_of_secret(secret)).filter(|_| self.keys_are_named)
        };
        set("CoiledTokenKmsKeyArn", key(token));
        set("DockerHubTokenKmsKeyArn", key(property("DockerHubTokenSecretArn")));
        parameters
    }
}
