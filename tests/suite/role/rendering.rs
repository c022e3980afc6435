//! The rendered template: its ARNs and its size.

use coiled_world::policy::combinations;
use coiled_world::policy::template::{Parameters, Place, Template};
use serde_json::Value;

const PLACES: [(&str, &str); 3] = [("aws", "us-east-1"), ("aws-cn", "cn-northwest-1"), ("aws-us-gov", "us-gov-west-1")];

fn set(pairs: &[(&str, &str)]) -> Parameters {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The smallest stack, and a stack with every parameter that affects permissions.
fn parameter_sets(partition: &str, region: &str) -> Vec<Parameters> {
    let arn = |service: &str, rest: &str| format!("arn:{partition}:{service}:{region}:111122223333:{rest}");
    let boundary = format!("arn:{partition}:iam::aws:policy/PowerUserAccess");
    let (secret, hub) = (arn("secretsmanager", "secret:mine-AbCdEf"), arn("secretsmanager", "secret:hub-AbCdEf"));
    let (key, hub_key) = (arn("kms", "key/1234"), arn("kms", "key/5678"));
    let full = [
        ("CoiledTokenSecretArn", secret.as_str()),
        ("CoiledTokenKmsKeyArn", &key),
        ("UserName", "dask"),
        ("UserPath", "/vendors/"),
        ("PermissionsBoundaryArn", &boundary),
        ("DockerHubTokenSecretArn", &hub),
        ("DockerHubTokenKmsKeyArn", &hub_key),
        ("FunctionPermissionsBoundaryArn", &boundary),
    ];
    vec![set(&[("CoiledToken", "t")]), set(&full)]
}

/// Collects every string in a value.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(map) => map.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

/// DataDog/cloudformation-template#322: a hard-coded partition.
#[test]
fn every_rendered_arn_is_in_the_stacks_partition() {
    for (partition, region) in PLACES {
        let place = Place::new(partition, region, "111122223333");
        for parameters in parameter_sets(partition, region) {
            let mut found = Vec::new();
            texts(&Template::shipped().stack(&parameters, &place).everything(), &mut found);
            let arns: Vec<&String> = found.iter().filter(|text| text.contains("arn:")).collect();
            assert!(arns.len() > 10, "{arns:?}");
            let foreign: Vec<_> = arns.iter().filter(|arn| !arn.starts_with(&format!("arn:{partition}:"))).collect();
            assert!(foreign.is_empty(), "in {partition}: {foreign:?}");
            let unrendered: Vec<_> = found.iter().filter(|text| text.contains("${")).collect();
            assert!(unrendered.is_empty(), "{unrendered:?}");
        }
    }
}

#[test]
fn the_template_does_not_hard_code_a_partition() {
    let lines = Template::shipped().text.lines();
    // The parameters' patterns begin with `arn:` and a pattern for the partition, so they are not found here.
    let fixed: Vec<&str> = lines.filter(|line| line.contains("arn:aws") || line.contains("amazonaws.com.cn")).collect();
    assert!(fixed.is_empty(), "{fixed:?}");
}

/// These parameters become part of ARNs in the role. A wildcard in a value would match other resources.
#[test]
fn parameters_used_in_the_role_reject_wildcards() {
    let template = Template::shipped();
    let role = template.value["Resources"]["FunctionRole"].to_string();
    let is_named = |name: &str| [format!("\"{name}\""), format!("${{{name}}}")].iter().any(|form| role.contains(form));
    let mut tried = 0;
    for (parameters, _) in combinations::all() {
        for (name, value) in parameters.iter().filter(|(name, _)| is_named(name)) {
            for bad in ["*", "?", "$", "${aws:username}", "\"", "\n", " ", "\\"] {
                let (end, middle) = (value.len(), value.len() / 2);
                for at in [0, middle, end.saturating_sub(1), end] {
                    let wild = format!("{}{bad}{}", &value[..at], &value[at..]);
                    assert!(!template.takes(name, &wild), "{name} accepts {wild:?}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 1000, "{tried}");
}

#[test]
fn only_the_role_grants_the_function_permissions() {
    let resources = Template::shipped().value["Resources"].as_object().unwrap();
    let of_type = |kind: &str| {
        let named = resources.iter().filter(|(_, resource)| resource["Type"].as_str().unwrap().starts_with(kind));
        named.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of_type("AWS::IAM::"), ["FunctionRole"]);
    for kind in
        ["AWS::SecretsManager::ResourcePolicy", "AWS::KMS::", "AWS::Lambda::Permission", "AWS::Serverless::Application"]
    {
        assert!(of_type(kind).is_empty(), "{kind}");
    }
    let function = &resources["Function"]["Properties"];
    assert_eq!(function["Role"], serde_json::json!({"Fn::GetAtt": ["FunctionRole", "Arn"]}));
    for name in ["Policies", "Events", "FunctionUrlConfig", "VpcConfig"] {
        assert!(function.get(name).is_none(), "{name}");
    }
}

/// "IAM and AWS STS quotas" limits all inline policies of a role to 10,240 characters without white space. If they are
/// longer, CreateRole fails with an error that does not name the parameter.
#[test]
fn the_inline_policy_stays_within_its_quota_with_the_longest_parameters() {
    let place = Place::new("aws-us-gov", "us-gov-west-1", "111122223333");
    let path = |longest: usize| format!("/{}/", "p".repeat(longest - 2));
    let arn = |rest: String| format!("arn:aws-us-gov:{rest}");
    let secret = |c: &str| arn(format!("secretsmanager:us-gov-west-1:111122223333:secret:{}-AbCdEf", c.repeat(512)));
    let key = arn("kms:us-gov-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab".into());
    let max_length = |name: &str| Template::shipped().value["Parameters"][name]["MaxLength"].as_u64().unwrap();
    let longest_accepted = |name: &str| usize::try_from(max_length(name)).unwrap();
    let longest = [
        ("UserName", "u".repeat(longest_accepted("UserName"))),
        ("UserPath", path(longest_accepted("UserPath"))),
        ("PermissionsBoundaryArn", arn(format!("iam::111122223333:policy{}{}", path(512), "b".repeat(128)))),
        ("CoiledTokenSecretArn", secret("t")),
        ("CoiledTokenKmsKeyArn", key.clone()),
        ("DockerHubTokenSecretArn", secret("h")),
        ("DockerHubTokenKmsKeyArn", key),
    ];
    let longest: Parameters = longest.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let role = Template::shipped().stack(&longest, &place).properties("FunctionRole").unwrap();
    let size = role["Policies"][0]["PolicyDocument"].to_string().chars().filter(|c| !c.is_whitespace()).count();
    assert!(size <= 10_240, "{size}");
}

/// Coiled's policies allow actions on `role/coiled-*`. The path of the function's role keeps it out of that pattern.
#[test]
fn only_lambda_can_assume_the_role_and_coileds_policies_do_not_match_it() {
    let place = Place::new("aws", "us-east-1", "111122223333");
    let role = Template::shipped().stack(&Parameters::new(), &place).properties("FunctionRole").unwrap();
    let trust = &role["AssumeRolePolicyDocument"]["Statement"];
    let lambda = serde_json::json!([{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]);
    assert_eq!(trust, &lambda);
    let path = role["Path"].as_str().unwrap();
    assert!(path.len() > 2 && !path.starts_with("/coiled"), "{path}");
}
