//! The resources that the function uses with given parameters, and the translation of calls to other parameters.
//!
//! The names are written here independently of the template's role, so that a mistake there is detected.

use super::evaluate::Request;
use super::template::Stack;

/// The name or ARN of each resource, by its kind.
#[derive(Debug)]
pub struct Names(Vec<(&'static str, String)>);

impl Names {
    /// The names for a stack's parameters.
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

    /// Whether these parameters define a resource of this kind.
    pub fn has(&self, kind: &str) -> bool {
        self.get(kind).is_some()
    }

    /// The ARNs of all resources on which the function can call an action.
    pub fn resources(&self) -> Vec<&str> {
        let all = self.0.iter().filter(|(kind, _)| !["boundary", "token service", "hub service"].contains(kind));
        all.map(|(_, value)| value.as_str()).collect()
    }

    /// The name or ARN of the resource of this kind.
    pub fn get(&self, kind: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| *other == kind).map(|(_, value)| value.as_str())
    }

    /// Translates a call with these names to other names. `None` if the call is impossible with the others.
    pub fn translate(&self, request: &Request, to: &Names) -> Option<Request> {
        if carries_boundary(&request.action) && self.has("boundary") != to.has("boundary") {
            return None;
        }
        let translate = |text: &String| match self.0.iter().find(|(_, value)| value == text) {
            Some((kind, _)) => to.get(kind).map(str::to_owned),
            None => Some(text.clone()),
        };
        let context = request.context.iter().map(|(key, values)| {
            let values: Option<Vec<String>> = values.iter().map(translate).collect();
            Some((key.clone(), values?))
        });
        Some(Request {
            action: request.action.clone(),
            resource: translate(&request.resource)?,
            context: context.collect::<Option<_>>()?,
        })
    }
}

/// The log stream name of every invocation in the suite.
pub const LOG_STREAM: &str = "s";

/// Whether a request has the condition key `iam:PermissionsBoundary`. The source is "Actions, resources, and condition
/// keys for AWS Identity and Access Management" in the Service Authorization Reference.
pub fn carries_boundary(action: &str) -> bool {
    let with_it = ["AttachUserPolicy", "CreateUser", "DeleteUserPermissionsBoundary", "DeleteUserPolicy"];
    let more = ["DetachUserPolicy", "PutUserPermissionsBoundary"];
    with_it.iter().chain(&more).any(|name| action == format!("iam:{name}"))
}

/// The value of `kms:ViaService` for a secret: the Secrets Manager endpoint of its region. See "kms:ViaService" in the
/// KMS developer guide.
pub fn service_of(secret: &str) -> String {
    match secret.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        [_, "aws-cn", _, region, ..] => format!("secretsmanager.{region}.amazonaws.com.cn"),
        [_, _, _, region, ..] => format!("secretsmanager.{region}.amazonaws.com"),
        _ => String::new(),
    }
}
