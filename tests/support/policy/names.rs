//! What the function works with under given parameters, written down without the template's help; and calls carried over
//! from one set of parameters to another.

use super::evaluate::Request;
use super::template::Stack;

/// Which thing, and what it is called.
#[derive(Debug)]
pub struct Names(Vec<(&'static str, String)>);

impl Names {
    /// The names under a stack's parameters.
    pub fn of(stack: &Stack) -> Self {
        let place = stack.place;
        let (partition, account) = (&place.partition, &place.account);
        let value = |name: &str| stack.parameters[name].clone();
        let (path, user) = (value("UserPath"), value("UserName"));
        let iam = |rest: String| format!("arn:{partition}:iam::{account}:{rest}");
        let token = match value("CoiledTokenSecretArn") {
            own if own.is_empty() => place.attributes["TokenSecret.Id"].clone(),
            own => own,
        };
        let hub = value("DockerHubTokenSecretArn");
        let log = place.attributes["FunctionLogs.Arn"].trim_end_matches(":*").to_owned();
        let names = [
            ("user", iam(format!("user{path}{user}"))),
            ("absent user", iam(format!("user/{user}"))),
            ("setup policy", iam(format!("policy{path}{user}-setup"))),
            ("ongoing policy", iam(format!("policy{path}{user}-ongoing"))),
            ("boundary", value("PermissionsBoundaryArn")),
            ("token secret", token.clone()),
            ("token key", value("CoiledTokenKmsKeyArn")),
            ("token service", service_of(&token)),
            ("hub secret", hub.clone()),
            ("hub key", value("DockerHubTokenKmsKeyArn")),
            ("hub service", service_of(&hub)),
            ("log stream", format!("{log}:log-stream:{LOG_STREAM}")),
        ];
        Self(names.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// Whether a thing is there under these parameters.
    pub fn has(&self, thing: &str) -> bool {
        self.get(thing).is_some()
    }

    /// What the function may do something with.
    pub fn resources(&self) -> Vec<&str> {
        let all = self.0.iter().filter(|(thing, _)| !["boundary", "token service", "hub service"].contains(thing));
        all.map(|(_, value)| value.as_str()).collect()
    }

    /// What a thing is called.
    pub fn get(&self, thing: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| *other == thing).map(|(_, value)| value.as_str())
    }

    /// A call made under these names, as it would have been under others; none where it could not have been.
    pub fn carry(&self, request: &Request, to: &Names) -> Option<Request> {
        if carries_boundary(&request.action) && self.has("boundary") != to.has("boundary") {
            return None;
        }
        let carry = |text: &String| match self.0.iter().find(|(_, value)| value == text) {
            Some((thing, _)) => to.get(thing).map(str::to_owned),
            None => Some(text.clone()),
        };
        let context = request.context.iter().map(|(key, values)| {
            let values: Option<Vec<String>> = values.iter().map(carry).collect();
            Some((key.clone(), values?))
        });
        Some(Request {
            action: request.action.clone(),
            resource: carry(&request.resource)?,
            context: context.collect::<Option<_>>()?,
        })
    }
}

/// The name of every log stream in the suite.
pub const LOG_STREAM: &str = "s";

/// Whether `iam:PermissionsBoundary` is part of a request, by "Actions, resources, and condition keys for AWS Identity and
/// Access Management" of the service authorization reference.
pub fn carries_boundary(action: &str) -> bool {
    let with_it = ["AttachUserPolicy", "CreateUser", "DeleteUserPermissionsBoundary", "DeleteUserPolicy"];
    let more = ["DetachUserPolicy", "PutUserPermissionsBoundary"];
    with_it.iter().chain(&more).any(|name| action == format!("iam:{name}"))
}

/// How KMS knows the Secrets Manager that a secret is in: "kms:ViaService" of the KMS developer guide.
pub fn service_of(secret: &str) -> String {
    match secret.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        [_, "aws-cn", _, region, ..] => format!("secretsmanager.{region}.amazonaws.com.cn"),
        [_, _, _, region, ..] => format!("secretsmanager.{region}.amazonaws.com"),
        _ => String::new(),
    }
}
