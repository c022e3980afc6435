//! The rendered template: its ARNs, its size, and the renderer itself.

use serde_json::Value;

use crate::support::policy::combinations;
use crate::support::policy::template::{Parameters, Place, Template};

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

/// The expected values follow CloudFormation's documentation. Every other test of the role depends on the renderer.
#[test]
fn the_renderer_computes_functions_as_cloudformation_does() {
    let template = Template::read(
        "Parameters: {Name: {Default: n}, Other: {Default: ''}}\n\
         Conditions: {HasOther: !Not [!Equals [!Ref Other, '']], Both: !And [!Condition HasOther, !Equals [a, a]], \
         Either: !Or [!Condition HasOther, !Equals [a, a]]}\n\
         Resources:\n  R:\n    Properties:\n      ref: !Ref Name\n      region: !Ref AWS::Region\n      \
         sub: !Sub '${Name}-${AWS::AccountId}-${R.Arn}'\n      own: !Sub ['${x}/${Name}', {x: !Ref Name}]\n      \
         join: !Join ['-', [a, !Ref Name]]\n      pick: !Select [1, !Split [':', 'a:b:c']]\n      \
         if: !If [HasOther, yes, no]\n      list: [!If [HasOther, x, !Ref AWS::NoValue], y]\n      \
         gone: !Ref AWS::NoValue\n      both: !If [Both, 1, 2]\n      either: !If [Either, 1, 2]\n  \
         Only: {Condition: HasOther, Properties: {a: b}}\nOutputs: {}\n"
            .to_owned(),
    );
    let place = Place::new("aws", "us-east-1", "111122223333");
    let (none, other) = (Parameters::new(), set(&[("Other", "o")]));
    let (without, with) = (template.stack(&none, &place), template.stack(&other, &place));
    assert_eq!(
        without.properties("R"),
        Some(
            serde_json::json!({"ref": "n", "region": "us-east-1", "sub": "n-111122223333-<R.Arn>", "own": "n/n", "join": "a-n",
            "pick": "b", "if": "no", "list": ["y"], "both": 2, "either": 1})
        )
    );
    let properties = with.properties("R").unwrap();
    assert_eq!((&properties["if"], &properties["both"]), (&"yes".into(), &1.into()));
    assert_eq!(properties["list"], serde_json::json!(["x", "y"]));
    assert_eq!((without.properties("Only").is_some(), with.properties("Only").is_some()), (false, true));
    assert_eq!(with.conditions(), ["Both", "Either", "HasOther"]);
}

#[test]
fn the_renderer_panics_on_unknown_functions_and_names() {
    let place = Place::new("aws", "us-east-1", "111122223333");
    for text in
        ["!Base64 x", "!Ref Nobody", "!Ref AWS::Nothing", "!Sub '${Nobody}'", "!GetAtt Nobody.Arn", "!If [No, a, b]"]
    {
        let rendered = std::panic::catch_unwind(|| {
            let text = format!("Parameters: {{}}\nConditions: {{}}\nResources: {{R: {{Properties: {{a: {text}}}}}}}\n");
            Template::read(text).stack(&Parameters::new(), &place).properties("R")
        });
        assert!(rendered.is_err(), "{text} became {rendered:?}");
    }
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
