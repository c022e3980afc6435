//! The template's parameters: which values they accept, and how they reach the function.

use coiled_aws_stack::properties::Spec;
use coiled_world::policy::template::{Parameters, Place, Stack, Template};
use serde_json::json;

const SECRET: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:mine-AbCdEf";
const HUB: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:hub-AbCdEf";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234";

fn set(pairs: &[(&str, &str)]) -> Parameters {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn with_stack<T>(pairs: &[(&str, &str)], look: impl Fn(&Stack) -> T) -> T {
    let place = Place::new("aws", "us-east-1", "111122223333");
    look(&Template::shipped().stack(&set(pairs), &place))
}

#[test]
fn an_invalid_combination_of_parameters_fails_exactly_one_template_rule() {
    let secret = ("CoiledTokenSecretArn", SECRET);
    let hub = [secret, ("Registry", "docker_hub"), ("DockerHubUsername", "ada"), ("DockerHubTokenSecretArn", HUB)];
    let allowed: [&[(&str, &str)]; 6] = [
        &[("CoiledToken", "t")],
        &[secret],
        &[secret, ("CoiledTokenKmsKeyArn", KEY)],
        &[
            secret,
            ("NetworkId", "vpc-0123abcd"),
            ("SchedulerSubnetId", "subnet-0123abcd"),
            ("FirewallId", "sg-0123abcd"),
        ],
        &hub,
        &[&hub[..], &[("DockerHubNamespace", "team"), ("DockerHubTokenKmsKeyArn", KEY)]].concat(),
    ];
    for pairs in allowed {
        assert_eq!(with_stack(pairs, |stack| stack.broken_rules()), Vec::<String>::new(), "{pairs:?}");
    }
    let shared =
        [secret, ("Registry", "docker_hub"), ("DockerHubUsername", "ada"), ("DockerHubTokenSecretArn", SECRET)];
    let rejected: [(&[(&str, &str)], &str); 13] = [
        (&shared, "must be different secrets"),
        (&[], "either CoiledToken or CoiledTokenSecretArn"),
        (&[("CoiledToken", "t"), secret], "not both"),
        (&[("CoiledToken", "t"), ("CoiledTokenKmsKeyArn", KEY)], "Enter CoiledTokenSecretArn too"),
        (&[secret, ("DockerHubTokenKmsKeyArn", KEY)], "Enter DockerHubTokenSecretArn too"),
        (&[secret, ("Registry", "docker_hub"), ("DockerHubUsername", "ada")], "enter DockerHubUsername and"),
        (&[secret, ("Registry", "docker_hub"), ("DockerHubTokenSecretArn", HUB)], "enter DockerHubUsername and"),
        (&[secret, ("DockerHubUsername", "ada")], "only if Registry is docker_hub"),
        (&[secret, ("DockerHubNamespace", "team")], "only if Registry is docker_hub"),
        (&[secret, ("DockerHubUri", "docker.io")], "only if Registry is docker_hub"),
        (&[secret, ("SchedulerSubnetId", "subnet-0123abcd")], "enter NetworkId too"),
        (&[secret, ("WorkerSubnetId", "subnet-0123abcd")], "enter NetworkId too"),
        (&[secret, ("FirewallId", "sg-0123abcd")], "enter NetworkId too"),
    ];
    for (pairs, words) in rejected {
        let broken = with_stack(pairs, |stack| stack.broken_rules());
        assert!(broken.len() == 1 && broken[0].contains(words), "{pairs:?}: {broken:?}");
    }
}

/// A parameter that the template does not pass on has no effect. A property that the function does not know makes every
/// Create fail.
#[test]
fn the_function_receives_and_accepts_every_connection_parameter() {
    let properties = with_stack(&[("CoiledTokenSecretArn", SECRET)], |stack| stack.properties("Connection").unwrap());
    let given = Spec::parse(&properties, "us-east-1", "aws").expect("the function accepts the template's properties");
    assert_eq!(given.server.to_string(), "https://cloud.coiled.io");

    // These parameters configure the stack and not the connection.
    let of_the_stack = [
        "CoiledToken",
        "CoiledTokenKmsKeyArn",
        "DockerHubTokenKmsKeyArn",
        "LogRetentionInDays",
        "FunctionPermissionsBoundaryArn",
    ];
    let connection = &Template::shipped().value["Resources"]["Connection"]["Properties"];
    let parameters = Template::shipped().value["Parameters"].as_object().unwrap().keys();
    for name in parameters.filter(|name| !of_the_stack.contains(&name.as_str())) {
        let passed_on = &connection[name.as_str()];
        let chosen = json!({"Fn::If": ["HasOwnSecret", {"Ref": name}, {"Fn::GetAtt": ["TokenSecret", "Id"]}]});
        assert!(*passed_on == json!({"Ref": name}) || *passed_on == chosen, "{name}: {passed_on}");
    }
}

/// CloudFormation updates a resource only if one of its properties changes. A new release must therefore change
/// `Release`.
#[test]
fn the_release_in_the_template_is_the_crate_version() {
    assert_eq!(
        Template::shipped().value["Resources"]["Connection"]["Properties"]["Release"],
        env!("CARGO_PKG_VERSION")
    );
}

/// The function rejects a property that differs from its environment variable.
#[test]
fn the_functions_environment_pins_the_connections_server_secrets_and_registry() {
    let hub = [("Registry", "docker_hub"), ("DockerHubUsername", "ada"), ("DockerHubTokenSecretArn", HUB)];
    let (server, uri) = (("CoiledServer", "https://coiled.example.com"), ("DockerHubUri", "hub.example.com"));
    let sets = [vec![("CoiledToken", "t")], vec![("CoiledTokenSecretArn", SECRET), server], {
        [&[("CoiledTokenSecretArn", SECRET), uri][..], &hub].concat()
    }];
    for pairs in sets {
        let (function, connection) = with_stack(&pairs, |stack| {
            (stack.properties("Function").unwrap(), stack.properties("Connection").unwrap())
        });
        for (variable, property) in [
            ("COILED_SERVER", "CoiledServer"),
            ("COILED_TOKEN_SECRET_ARN", "CoiledTokenSecretArn"),
            ("DOCKER_HUB_TOKEN_SECRET_ARN", "DockerHubTokenSecretArn"),
            ("DOCKER_HUB_URI", "DockerHubUri"),
            ("DOCKER_HUB_USERNAME", "DockerHubUsername"),
        ] {
            let pinned = &function["Environment"]["Variables"][variable];
            assert!(pinned.is_string() && *pinned == connection[property], "{variable} with {pairs:?}");
        }
    }
}

#[test]
fn list_parameters_accept_json_over_several_lines() {
    for name in ["Ingress", "Tags"] {
        assert!(Template::shipped().takes(name, "[\n  {\"Key\": \"team\", \"Value\": \"data\"}\n]\n"));
        assert!(!Template::shipped().takes(name, "team=data"));
    }
}
