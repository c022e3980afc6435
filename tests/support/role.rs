//! The stack around a test: which parameters of template.yaml would have brought the properties of an event.

use serde_json::Value;

use super::World;
use super::aws::Role;
use super::policy::template::{Parameters, Place, Template};

/// The function's log group.
pub const LOG_GROUP: &str = "/aws/lambda/coiled";

impl World {
    /// Gives the function the role that the stack of this event has.
    pub(super) fn deploy(&self, event: &Value) {
        let account = self.aws.account();
        let group = format!("arn:aws:logs:us-east-1:{account}:log-group:{LOG_GROUP}");
        let mut place = Place::new("aws", "us-east-1", account);
        place.attributes.insert("TokenSecret.Id".into(), self.secret_arn.clone());
        place.attributes.insert("FunctionLogs.Arn".into(), format!("{group}:*"));
        self.aws.set_role(Role::new(self.parameters(event), place, self.role_lacks_something));
        self.aws.write_log(&group);
    }

    /// The parameters that the role depends on. What the template would not take has not come from it: then its default.
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
        // The world's secret is the one that the stack makes; any other is the user's own.
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
