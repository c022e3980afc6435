use serde_json::json;

use super::*;

const SECRET: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:coiled-token-AbCdEf";
const HUB: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:hub-token-AbCdEf";

fn parse(properties: Value) -> Result<Spec, Error> {
    Spec::parse(&properties, "us-east-1", "aws")
}

fn with(more: Value) -> Value {
    let mut properties = json!({"ServiceToken": "arn", "CoiledTokenSecretArn": SECRET});
    if let (Some(map), Value::Object(more)) = (properties.as_object_mut(), more) {
        map.extend(more);
    }
    properties
}

fn invalid(properties: Value) -> Vec<String> {
    match parse(properties) {
        Err(Error::Properties(invalid)) => invalid.into_iter().map(|invalid| invalid.property).collect(),
        other => vec![format!("{other:?}")],
    }
}

#[test]
fn omitted_and_empty_properties_have_their_documented_defaults() -> Result<(), Error> {
    let spec = parse(with(json!({"Workspace": "", "NetworkId": "", "Tags": ""})))?;
    assert_eq!(spec.server.to_string(), "https://cloud.coiled.io");
    assert_eq!((spec.user.as_str(), spec.path.as_str(), spec.region.as_str()), ("coiled", "/", "us-east-1"));
    assert_eq!((spec.attach_setup, spec.adopt, spec.registry), (true, false, Registry::Ecr));
    assert_eq!((spec.workspace, spec.network, spec.ingress.len(), spec.tags.len()), (None, None, 0, 0));
    Ok(())
}

#[test]
fn strings_and_json_types_mean_the_same() -> Result<(), Error> {
    let strings =
        json!({"AttachSetupPolicy": "false", "Ingress": "[{\"Ports\": [\"8786\"], \"Cidr\": \"10.0.0.0/16\"}]"});
    let real = json!({"AttachSetupPolicy": false, "Ingress": [{"Ports": [8786], "Cidr": "10.0.0.0/16"}]});
    assert_eq!(parse(with(strings))?, parse(with(real))?);
    Ok(())
}

#[test]
fn all_invalid_properties_are_reported_together() {
    let found = invalid(json!({
        "UserName": "a".repeat(57),
        "UserPath": "/*/",
        "Region": "mars-1",
        "CoiledServer": "http://cloud.coiled.io",
        "AttachSetupPolicy": "yes",
        "SchedulerSubnetId": "subnet-1234",
        "Ingress": [{"Ports": ["0"], "Cidr": "10.0.0.0/33", "Protocol": "udp"}, 7],
        "PolicyProfile": "hardened",
        "Registry": "docker_hub",
        "Tags": [{"Key": "aws:x", "Value": "y"}, {"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}],
        "Regoin": "us-east-1"
    }));
    let expected = [
        "CoiledTokenSecretArn",
        "CoiledServer",
        "UserName",
        "UserPath",
        "Region",
        "PolicyProfile",
        "AttachSetupPolicy",
        "SchedulerSubnetId",
        "Ingress[0].Ports",
        "Ingress[0].Cidr",
        "Ingress[0].Protocol",
        "Ingress[1]",
        "DockerHubUsername",
        "DockerHubTokenSecretArn",
        "Tags[0].Key",
        "Tags[2].Key",
        "Regoin",
    ];
    assert_eq!(found, expected);
}

#[test]
fn properties_that_are_not_an_object_are_reported_once() {
    for properties in [json!(null), json!("text"), json!([1])] {
        assert_eq!(invalid(properties), ["ResourceProperties"]);
    }
}

#[test]
fn a_region_or_boundary_outside_the_stacks_partition_is_rejected() {
    assert_eq!(invalid(with(json!({"Region": "cn-north-1"}))), ["Region"]);
    assert_eq!(
        invalid(with(json!({"PermissionsBoundaryArn": "arn:aws-cn:iam::1:policy/b"}))),
        ["PermissionsBoundaryArn"]
    );
}

#[test]
fn only_a_secret_arn_in_the_stacks_partition_is_accepted() {
    for arn in ["coiled-token", "arn:aws:s3:::bucket", "arn:aws-cn:secretsmanager:cn-north-1:1:secret:x"] {
        assert_eq!(invalid(json!({"CoiledTokenSecretArn": arn})), ["CoiledTokenSecretArn"]);
    }
}

#[test]
fn a_remnant_ignores_invalid_properties() {
    let bad =
        Remnant::read(&json!({"UserName": "a".repeat(57), "CoiledServer": "ftp://x", "ForceDisconnect": "maybe"}));
    assert!(bad.user.is_none() && bad.server.is_none() && !bad.force_disconnect);
    for properties in [json!(null), json!([]), json!({"UserName": []})] {
        assert_eq!(Remnant::read(&properties).user.map(|user| user.to_string()).as_deref(), Some("coiled"));
    }
}

#[test]
fn the_docker_hub_namespace_defaults_to_the_user_name() -> Result<(), Error> {
    let more = json!({"Registry": "docker_hub", "DockerHubUsername": "Ada", "DockerHubTokenSecretArn": HUB});
    let Registry::DockerHub(hub) = parse(with(more))?.registry else { return Err(Error::Deadline) };
    assert_eq!((hub.username.as_str(), hub.namespace.as_str(), hub.uri.as_str()), ("ada", "ada", "docker.io"));
    Ok(())
}

#[test]
fn every_form_of_the_coiled_tokens_secret_arn_is_rejected_for_a_registry() {
    let docker_hub = |token: &str, hub: &str| {
        json!({
            "CoiledTokenSecretArn": token, "Registry": "docker_hub", "DockerHubUsername": "ada",
            "DockerHubTokenSecretArn": hub
        })
    };
    // The name ends with a word of six letters, which looks like the suffix of a full ARN.
    let without_suffix = SECRET.replace("coiled-token-AbCdEf", "coiled-tokens");
    let token = format!("{without_suffix}-AbCdEf");
    let replica = token.replace("us-east-1", "eu-west-1");
    for same in [&token, &without_suffix, &replica] {
        assert_eq!(invalid(docker_hub(&token, same)), ["DockerHubTokenSecretArn"], "{same}");
        assert_eq!(invalid(docker_hub(same, &token)), ["DockerHubTokenSecretArn"], "{same}");
    }
    let (renamed, longer) = (token.replace("AbCdEf", "GhIjKl"), format!("{without_suffix}-more-AbCdEf"));
    for other in [HUB, &renamed, &longer, &token.replace("111122223333", "444455556666")] {
        assert!(parse(docker_hub(&token, other)).is_ok(), "{other}");
    }
}

#[test]
fn tags_may_be_as_many_and_as_long_as_iam_allows() {
    let tags = |n: usize, key: usize, value: usize| {
        let tag = |n: usize| json!({"Key": format!("{n:0key$}"), "Value": "v".repeat(value)});
        parse(with(json!({"Tags": (0..n).map(tag).collect::<Vec<_>>()})))
    };
    assert_eq!(tags(38, 128, 256).unwrap().tags.last().unwrap().value, "v".repeat(256));
    for (n, key, value) in [(39, 2, 1), (1, 129, 1), (1, 1, 257)] {
        assert!(tags(n, key, value).is_err(), "{n} tags, keys of {key} and values of {value} characters");
    }
    for (key, value) in [("a\n", "b"), ("a", "b\n")] {
        assert!(parse(with(json!({"Tags": [{"Key": key, "Value": value}]}))).is_err(), "{key:?}: {value:?}");
    }
}
