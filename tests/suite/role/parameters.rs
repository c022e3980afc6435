//! What a person may type into the template, and that it gets to the function.

use coiled_aws_stack::properties::Spec;
use serde_json::{Value, json};

use crate::support::policy::template::{Parameters, Place, Stack, Template};

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
fn a_mistake_in_the_parameters_is_told_before_anything_is_made() {
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
    let refused: [(&[(&str, &str)], &str); 12] = [
        (&[], "either CoiledToken or CoiledTokenSecretArn"),
        (&[("CoiledToken", "t"), secret], "not both"),
        (&[("CoiledToken", "t"), ("CoiledTokenKmsKeyArn", KEY)], "give CoiledTokenSecretArn too"),
        (&[secret, ("DockerHubTokenKmsKeyArn", KEY)], "give DockerHubTokenSecretArn too"),
        (&[secret, ("Registry", "docker_hub"), ("DockerHubUsername", "ada")], "needs DockerHubUsername and"),
        (&[secret, ("Registry", "docker_hub"), ("DockerHubTokenSecretArn", HUB)], "needs DockerHubUsername and"),
        (&[secret, ("DockerHubUsername", "ada")], "need Registry docker_hub"),
        (&[secret, ("DockerHubNamespace", "team")], "need Registry docker_hub"),
        (&[secret, ("DockerHubUri", "docker.io")], "need Registry docker_hub"),
        (&[secret, ("SchedulerSubnetId", "subnet-0123abcd")], "need NetworkId"),
        (&[secret, ("WorkerSubnetId", "subnet-0123abcd")], "need NetworkId"),
        (&[secret, ("FirewallId", "sg-0123abcd")], "need NetworkId"),
    ];
    for (pairs, words) in refused {
        let broken = with_stack(pairs, |stack| stack.broken_rules());
        assert!(broken.len() == 1 && broken[0].contains(words), "{pairs:?}: {broken:?}");
    }
}

/// A parameter that nobody passes on does nothing; a property that the function does not know fails every Create.
#[test]
fn every_parameter_gets_to_the_function_which_knows_them_all() {
    let properties = with_stack(&[("CoiledTokenSecretArn", SECRET)], |stack| stack.properties("Connection").unwrap());
    let given = Spec::parse(&properties, "us-east-1", "aws").expect("the function takes what the template gives");
    assert_eq!(given.server.to_string(), "https://cloud.coiled.io");

    // Of the stack itself, and not of the connection.
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

/// CloudFormation updates a resource only where a property changed: a release that did not say so would change nothing.
#[test]
fn a_release_names_itself() {
    assert_eq!(
        Template::shipped().value["Resources"]["Connection"]["Properties"]["Release"],
        env!("CARGO_PKG_VERSION")
    );
}

/// The same text in both, or the function would refuse the server of its own stack.
#[test]
fn the_function_is_deployed_for_the_server_of_its_connection() {
    let server = ("CoiledServer", "https://coiled.example.com");
    let texts = with_stack(&[("CoiledToken", "t"), server], |stack| {
        let function: Value = stack.properties("Function").unwrap();
        let connection: Value = stack.properties("Connection").unwrap();
        (function["Environment"]["Variables"]["COILED_SERVER"].clone(), connection["CoiledServer"].clone())
    });
    assert_eq!(texts, (json!(server.1), json!(server.1)));
}

/// A list may be pasted as it was printed, over several lines.
#[test]
fn lists_take_several_lines() {
    for name in ["Ingress", "Tags"] {
        assert!(Template::shipped().takes(name, "[\n  {\"Key\": \"team\", \"Value\": \"data\"}\n]\n"));
        assert!(!Template::shipped().takes(name, "team=data"));
    }
}
