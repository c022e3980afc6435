//! Reconstructs the stack of an event: which parameters of template.yaml produce the event's properties.

use serde_json::Value;

use super::World;
use super::aws::Role;
use super::policy::template::{Parameters, Place, Template};

pub const LOG_GROUP: &str = "/aws/lambda/coiled";

impl World {
    /// Gives the function the role that CloudFormation would create in this event's stack.
    pub fn deploy(&self, event: &Value) {
        let account = self.aws.account();
        let group = format!("arn:aws:logs:us-east-1:{account}:log-group:{LOG_GROUP}");
        let mut place = Place::new("aws", "us-east-1", account);
        place.attributes.insert("TokenSecret.Id".into(), self.secret_arn.clone());
        place.attributes.insert("FunctionLogs.Arn".into(), format!("{group}:*"));
        self.aws.set_role(Role::new(self.parameters(event), place, self.role_lacks_something));
        self.aws.write_log(&group);
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
