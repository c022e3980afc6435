//! The template and the function accept the same values. The tests use real values at the limits of each service's own
//! rules.

use coiled_aws_stack::aws::secrets::text;
use coiled_aws_stack::properties::Spec;
use coiled_world::policy::template::Template;
use serde_json::{Value, json};

const SECRET: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:coiled-token-AbCdEf";
const HUB: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:hub-AbCdEf";

/// Whether the function accepts a value for one property.
fn function_takes(name: &str, value: &str) -> bool {
    let mut properties = json!({"ServiceToken": "arn", "CoiledTokenSecretArn": SECRET});
    if name.starts_with("DockerHub") {
        properties["Registry"] = json!("docker_hub");
        properties["DockerHubUsername"] = json!("ada");
        properties["DockerHubNamespace"] = json!("ada");
        properties["DockerHubTokenSecretArn"] = json!(HUB);
    }
    properties["NetworkId"] = json!("vpc-0123456789abcdef0");
    properties[name] = json!(value);
    Spec::parse(&properties, "us-east-1", "aws").is_ok()
}

/// Every property that both the template and the function check, with values that they accept and values that they
/// reject.
fn both() -> Vec<(&'static str, Vec<String>, Vec<String>)> {
    let secrets = (
        vec![
            SECRET.to_owned(),
            // Another account's secret, and the longest name with every character that Secrets Manager allows.
            format!("arn:aws:secretsmanager:eu-west-1:444455556666:secret:a/b_c+d=e.f@g-{}-a1B2c3", "h".repeat(498)),
            // A name that itself ends with a hyphen and six characters.
            "arn:aws:secretsmanager:us-east-1:111122223333:secret:my-secret-AbCdEf".into(),
        ],
        vec![
            "coiled-token".into(),
            "arn:aws:secretsmanager:us-east-1:111122223333:secret:coiled".into(),
            "arn:aws:secretsmanager:us-east-1:111122223333:secret:-AbCdEf".into(),
            "arn:aws:secretsmanager:us-east-1:111122223333:secret:coiled-token-??????".into(),
            "arn:aws:secretsmanager:us-east-1:111122223333:secret:coiled token-AbCdEf".into(),
            "arn:aws:secretsmanager:us-east-1:111122223333:secret:coiled-AbCdEf:token::".into(),
            "arn:aws:secretsmanager:us-east-1:1111:secret:coiled-token-AbCdEf".into(),
            "arn:aws:secretsmanager:nowhere:111122223333:secret:coiled-token-AbCdEf".into(),
            "arn:aws:ssm:us-east-1:111122223333:parameter/coiled".into(),
            format!("arn:aws:secretsmanager:us-east-1:111122223333:secret:{}-AbCdEf", "a".repeat(600)),
        ],
    );
    let ids = |prefix: &str| {
        let with = |digits: &str| format!("{prefix}{digits}");
        (
            vec![with("1a2b3c4d"), with("0123456789abcdef0")],
            vec![with(""), with("1A2B3C4D"), with("0123-4567"), "0123456789abcdef0".into(), with("1a2b3c4d ")],
        )
    };
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    vec![
        ("CoiledTokenSecretArn", secrets.0.clone(), secrets.1.clone()),
        (
            "CoiledServer",
            owned(&[
                "https://cloud.coiled.io",
                "https://cloud.coiled.io/",
                "https://coiled.example.com:8443/base/v1",
                "https://coiled_test.example.com",
                "https://10.1.2.3",
                "http://localhost:8000",
                "localhost:8000",
                "http://127.0.0.1:9",
                "http://coiled.localhost",
            ]),
            owned(&[
                "http://cloud.coiled.io",
                "cloud.coiled.io",
                "https://",
                "https://ada:pw@cloud.coiled.io",
                "https://cloud.coiled.io/?a=b",
                "https://cloud.coiled.io/#a",
                "https://cloud.coiled.io/a b",
                "https://[::1]",
                "ftp://cloud.coiled.io",
                "http://localhost.example.com",
            ]),
        ),
        (
            "Workspace",
            [owned(&["", "ada", "ada-team_2", "Ada.Team", "Ada's team", "équipe"]), vec!["a".repeat(200)]].concat(),
            [owned(&["ada\u{7}", "ada\u{85}b"]), vec!["a".repeat(201)]].concat(),
        ),
        (
            "UserName",
            [owned(&["coiled", "a", "a_b+c=d,e.f@g-h"]), vec!["u".repeat(56)]].concat(),
            [owned(&["a b", "a/b", "a*", "a?", "${aws:username}", "ö", "a:b"]), vec!["u".repeat(57)]].concat(),
        ),
        (
            "UserPath",
            [owned(&["/", "/vendors/", "/a_b+c=d,e.f@g-h/1/"]), vec![format!("/{}/", "p".repeat(254))]].concat(),
            // IAM allows some of these for users, but none for policies.
            [
                owned(&[
                    "a", "/a", "a/", "//", "/a//b/", "/a b/", "/a!/", "/a~b/", "/a:b/", "/*/", "/?/", "/$a/", "/ö/",
                ]),
                vec![format!("/{}/", "p".repeat(255))],
            ]
            .concat(),
        ),
        (
            "Region",
            owned(&["", "us-east-2", "ap-southeast-7", "mx-central-1", "il-central-1", "ap-northeast-3"]),
            owned(&["us-east-2a", "US-EAST-2", "us-east", "useast2", "Ohio", "us-east-2 ", "us-west-2-lax-1"]),
        ),
        (
            "PermissionsBoundaryArn",
            [
                owned(&[
                    "",
                    "arn:aws:iam::aws:policy/PowerUserAccess",
                    "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess",
                    "arn:aws:iam::111122223333:policy/bounds/team+a=b,c.d@e_f/coiled",
                ]),
                vec![format!("arn:aws:iam::111122223333:policy/{}", "n".repeat(128))],
            ]
            .concat(),
            [
                owned(&[
                    "PowerUserAccess",
                    "arn:aws:iam::111122223333:role/coiled",
                    "arn:aws:iam::1:policy/coiled",
                    "arn:aws:iam::111122223333:policy/",
                    "arn:aws:iam::111122223333:policy/bounds/",
                    "arn:aws:iam::111122223333:policy//coiled",
                    "arn:aws:iam::111122223333:policy/*",
                    "arn:aws:iam:us-east-1:111122223333:policy/coiled",
                ]),
                vec![format!("arn:aws:iam::111122223333:policy/{}", "n".repeat(129))],
            ]
            .concat(),
        ),
        ("PolicyProfile", owned(&["standard"]), owned(&["hardened", "Standard"])),
        ("AttachSetupPolicy", owned(&["true", "false"]), owned(&["yes", "1", "False"])),
        ("NetworkId", ids("vpc-").0, ids("vpc-").1),
        ("SchedulerSubnetId", ids("subnet-").0, ids("subnet-").1),
        ("WorkerSubnetId", ids("subnet-").0, ids("subnet-").1),
        ("FirewallId", ids("sg-").0, ids("sg-").1),
        (
            "Ingress",
            owned(&[
                "",
                r#"[{"Ports": ["8786", "8787"], "Cidr": "10.0.0.0/16"}]"#,
                // These are the forms in Coiled's documentation, its deprecated option `firewall` and its function
                // cluster_firewall, and a list as Python prints it.
                r#"[{"ports": [22, 443], "cidr": "10.1.0.0/16"}]"#,
                r#"{"ports": [22, 443], "cidr": "10.1.0.0/16"}"#,
                r#"{"ingress": [{"ports": [443], "cidr": "0.0.0.0/0"}]}"#,
                "[{'ports': [22, 443], 'cidr': '10.1.0.0/16'}]",
                "[\n  {\"PORTS\": [22],\n   \"CIDR\": \"2001:db8::/32\"}\n]\n",
            ]),
            owned(&["8786", "everyone", "\"10.0.0.0/16\"", "ports=22,cidr=10.0.0.0/16"]),
        ),
        ("Registry", owned(&["ecr"]), owned(&["gar", "ECR"])),
        (
            "DockerHubUsername",
            [
                owned(&[
                    "ada1",
                    "Ada",
                    "ada_l-2",
                    "ada@example.com",
                    "org+robot",
                    "robot$project+name",
                    "gitlab+deploy-token-1",
                    "12345678|robot",
                    "_json_key",
                    "tenancy/user@example.com",
                    " ada ",
                ]),
                vec!["a".repeat(255)],
            ]
            .concat(),
            [owned(&["ada:pw", "ada lovelace", "ädä", "a\tb"]), vec!["a".repeat(256)]].concat(),
        ),
        (
            "DockerHubNamespace",
            [
                owned(&["", "team", "My-Org", "my__org", "a.b_c--d", "group/subgroup/project", " team "]),
                vec!["n".repeat(255)],
            ]
            .concat(),
            [
                owned(&[
                    "-team",
                    "team-",
                    "a..b",
                    "a___b",
                    "a._b",
                    "/team",
                    "team/",
                    "a//b",
                    "te am",
                    "te:am",
                    "ada@example.com",
                ]),
                vec!["n".repeat(256)],
            ]
            .concat(),
        ),
        (
            "DockerHubUri",
            owned(&[
                "",
                "docker.io",
                "https://index.docker.io/v1/",
                "ghcr.io",
                "registry.example.com:5000",
                "europe-docker.pkg.dev/my-project/my_repo",
                "111122223333.dkr.ecr.us-east-1.amazonaws.com",
                "localhost:5000",
                "[2001:db8::1]:5000",
                " docker.io ",
            ]),
            owned(&[
                "ftp://docker.io",
                "ada:pw@docker.io",
                "docker.io?a=b",
                "docker.io#a",
                "docker io",
                ".docker.io",
                "docker.io-",
                "docker.io:",
                "docker.io:port",
                "/library",
                "https://",
            ]),
        ),
        ("DockerHubTokenSecretArn", secrets.0.iter().skip(1).cloned().collect(), secrets.1),
        ("AdoptExisting", owned(&["true", "false"]), owned(&["yes", "True"])),
        ("ForceDisconnect", owned(&["true", "false"]), owned(&["yes", "True"])),
        (
            "RotateKey",
            [owned(&["", "2026-11-25", "été", "a\nb"]), vec!["k".repeat(256)]].concat(),
            vec!["k".repeat(257)],
        ),
        (
            "Tags",
            owned(&[
                "",
                r#"[{"Key": "team", "Value": "data"}]"#,
                r#"[{"key": "team", "value": ""}]"#,
                r#"{"Key": "team", "Value": "data"}"#,
                r#"[{"Key": "Équipe 数据\u3000a/b", "Value": "a_.:/=+-@ ٣"}]"#,
            ]),
            owned(&["team=data", "Key=team,Value=data", "team"]),
        ),
    ]
}

#[test]
fn the_template_and_the_function_accept_the_same_values() {
    let template = Template::shipped();
    for (name, accepted, rejected) in both() {
        for value in &accepted {
            assert!(template.takes(name, value), "the template rejects {name} {value:?}");
            assert!(function_takes(name, value), "the function rejects {name} {value:?}");
        }
        for value in &rejected {
            assert!(!template.takes(name, value), "the template accepts {name} {value:?}");
            assert!(!function_takes(name, value), "the function accepts {name} {value:?}");
        }
    }
}

#[test]
fn every_parameter_that_the_template_restricts_is_listed_here() {
    // Parameters that only the template has.
    let only_in_the_template = [
        "CoiledToken",
        "CoiledTokenKmsKeyArn",
        "DockerHubTokenKmsKeyArn",
        "LogRetentionInDays",
        "FunctionPermissionsBoundaryArn",
    ];
    let listed: Vec<&str> = both().iter().map(|(name, ..)| *name).chain(only_in_the_template).collect();
    for (name, parameter) in Template::shipped().value["Parameters"].as_object().unwrap() {
        let is_checked =
            ["AllowedPattern", "AllowedValues", "MaxLength"].iter().any(|key| parameter.get(*key).is_some());
        assert!(!is_checked || listed.contains(&name.as_str()), "{name}");
    }
}

/// A pattern cannot tell that these values are invalid. The function rejects them before it changes anything.
#[test]
fn the_function_also_rejects_values_that_a_pattern_cannot_detect() {
    for (name, value) in [
        // In a partition other than the stack's.
        ("Region", "cn-north-1"),
        ("PermissionsBoundaryArn", "arn:aws-cn:iam::111122223333:policy/b"),
        ("CoiledTokenSecretArn", "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:coiled-AbCdEf"),
        // Numbers out of range.
        ("CoiledServer", "https://cloud.coiled.io:99999"),
        ("CoiledServer", "https://10.1.2.999"),
        // Inside JSON.
        ("Ingress", r#"[{"Ports": ["0"], "Cidr": "10.0.0.0/16"}]"#),
        ("Ingress", r#"[{"Ports": [22], "Cidr": "10.0.0.0/33"}]"#),
        ("Tags", r#"[{"Key": "aws:team", "Value": "data"}]"#),
        ("Tags", "[not JSON]"),
        // Parameters that depend on each other.
        ("Registry", "docker_hub"),
    ] {
        assert!(Template::shipped().takes(name, value), "the template rejects {name} {value:?}");
        assert!(!function_takes(name, value), "the function accepts {name} {value:?}");
    }
}

/// The function treats an empty string as "not given". The template needs these values in ARNs and addresses.
#[test]
fn the_template_requires_the_parameters_that_have_a_default() {
    for name in ["UserName", "UserPath", "CoiledServer", "Registry", "AttachSetupPolicy"] {
        assert!(!Template::shipped().takes(name, ""), "{name}");
        assert!(function_takes(name, ""), "{name}");
    }
}

#[test]
fn the_template_and_the_function_reject_a_mask_instead_of_a_token() {
    let readable = |value: &str| text(&value.to_owned().into()).is_ok();
    for token in ["0123456789abcdef-0123456789ABCDEF", "t", "a.b_c~d+e/f-g==", "12345", &"a".repeat(1024)] {
        assert!(Template::shipped().takes("CoiledToken", token), "the template rejects {token:?}");
        assert!(readable(token), "the function rejects {token:?}");
    }
    for mask in [
        "*",
        "****",
        "********************1a2b",
        "••••",
        "----",
        "(sensitive value)",
        "\"abc\"",
        "'abc'",
        "a b",
        "tökén",
    ] {
        assert!(!Template::shipped().takes("CoiledToken", mask), "the template accepts {mask:?}");
        assert!(!readable(mask), "the function accepts {mask:?}");
    }
    // Empty if CoiledTokenSecretArn is given instead.
    assert!(Template::shipped().takes("CoiledToken", ""));
}

#[test]
fn a_kms_key_is_named_by_its_arn() {
    let arn = |rest: &str| format!("arn:aws:kms:us-east-1:111122223333:{rest}");
    for name in ["CoiledTokenKmsKeyArn", "DockerHubTokenKmsKeyArn"] {
        let takes = |value: &str| Template::shipped().takes(name, value);
        assert!(takes("") && takes(&arn("key/1234abcd-12ab-34cd-56ef-1234567890ab")));
        // A multi-Region key.
        assert!(takes(&arn("key/mrk-1234abcd12ab34cd56ef1234567890ab")));
        assert!(!takes(&arn("alias/coiled")) && !takes("alias/coiled") && !takes(&arn("key/*")));
        assert!(!takes("1234abcd-12ab-34cd-56ef-1234567890ab"));
    }
}

fn parsed(more: Value) -> Spec {
    let mut properties = json!({"ServiceToken": "arn", "CoiledTokenSecretArn": SECRET});
    properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Spec::parse(&properties, "us-east-1", "aws").unwrap()
}

fn reason(more: Value) -> String {
    let mut properties = json!({"ServiceToken": "arn", "CoiledTokenSecretArn": SECRET});
    properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Spec::parse(&properties, "us-east-1", "aws").unwrap_err().to_string()
}

#[test]
fn every_spelling_of_an_ingress_rule_means_the_same() {
    let ours = parsed(json!({"Ingress": [{"Ports": ["22", "443"], "Cidr": "10.1.0.0/16"}]})).ingress;
    for ingress in [
        json!([{"ports": [22, 443], "cidr": "10.1.0.0/16"}]),
        json!([{"Ports": [22, "443"], "CIDR": " 10.1.0.0/16 "}]),
        json!([{"ports": "22, 443", "cidr": "10.1.0.0/16"}]),
        json!([{"ports": "[22, 443]", "cidr": "10.1.0.0/16"}]),
        json!({"ports": [22, 443], "cidr": "10.1.0.0/16"}),
        json!({"ingress": [{"ports": [22, 443], "cidr": "10.1.0.0/16"}]}),
        json!({"Ingress": {"ports": [22, 443], "cidr": "10.1.0.0/16"}}),
        json!("[{\"ports\": [22, 443], \"cidr\": \"10.1.0.0/16\"}]"),
        json!("{'ingress': [{'ports': [22, 443], 'cidr': '10.1.0.0/16'}]}"),
    ] {
        assert_eq!(parsed(json!({"Ingress": ingress})).ingress, ours, "{ingress}");
    }
    for (cidr, meaning) in
        [("everyone", "0.0.0.0/0"), ("203.0.113.7", "203.0.113.7/32"), ("2001:db8::1", "2001:db8::1/128")]
    {
        let ingress = parsed(json!({"Ingress": [{"ports": 443, "cidr": cidr}]})).ingress;
        assert_eq!((ingress[0].ports.as_slice(), ingress[0].cidr.as_str()), (&[443][..], meaning));
    }
}

#[test]
fn an_ingress_rule_that_coiled_does_not_support_is_rejected_with_a_reason() {
    for (rule, words) in [
        (json!({"ports": ["8000-9000"], "cidr": "10.0.0.0/8"}), "does not support ranges"),
        (json!({"ports": [22], "cidr": "me"}), "does not know your address"),
        (json!({"ports": [22], "Ports": [443], "cidr": "10.0.0.0/8"}), "Ports twice"),
        (json!({"ports": [], "cidr": "10.0.0.0/8"}), "at least one port"),
        (json!({"ports": [22.5], "cidr": "10.0.0.0/8"}), "22.5"),
        (json!({"ports": [22]}), "Cidr: is required"),
        (json!({"ports": [22], "cidr": "10.0.0.0/8", "protocol": "udp"}), "protocol"),
    ] {
        let reason = reason(json!({"Ingress": [rule]}));
        assert!(reason.contains(words), "{words:?} is not in: {reason}");
    }
}

/// Coiled's client rejects capital letters in the user name, and image names cannot contain any.
#[test]
fn the_login_and_namespace_of_a_registry_are_sent_in_lower_case() {
    use coiled_aws_stack::properties::registry::Registry;
    let hub = |more: Value| {
        let mut properties = json!({"Registry": "docker_hub", "DockerHubTokenSecretArn": HUB});
        properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        match parsed(properties).registry {
            Registry::DockerHub(hub) => (hub.username, hub.namespace, hub.uri),
            Registry::Ecr => panic!("docker_hub was given"),
        }
    };
    let own = |texts: [&str; 3]| texts.map(str::to_owned).into();
    assert_eq!(hub(json!({"DockerHubUsername": " Ada "})), own(["ada", "ada", "docker.io"]));
    let more =
        json!({"DockerHubUsername": "robot$Team+ci", "DockerHubNamespace": "Team/App", "DockerHubUri": " ghcr.io "});
    assert_eq!(hub(more), own(["robot$team+ci", "team/app", "ghcr.io"]));
    let reason = reason(
        json!({"Registry": "docker_hub", "DockerHubTokenSecretArn": HUB, "DockerHubUsername": "ada@example.com"}),
    );
    assert!(reason.contains("DockerHubNamespace: is required"), "{reason}");
}

/// IAM's rule is `[\p{L}\p{Z}\p{N}_.:/=+\-@]`: it excludes the combining marks of some scripts, and other symbols.
#[test]
fn tags_are_checked_by_iams_own_rule() {
    for value in ["a_.:/=+-@b", "naïve", "数据", "٣", "½", "a\u{a0}b", "a\u{3000}b", "Ⅷ", ""] {
        assert!(function_takes("Tags", &json!([{"Key": "k", "Value": value}]).to_string()), "{value:?}");
    }
    for value in ["a,b", "a*b", "a\nb", "a\tb", "नमस्ते", "e\u{301}", "Ⓐ", "😀", "a\u{200b}b"] {
        assert!(!function_takes("Tags", &json!([{"Key": "k", "Value": value}]).to_string()), "{value:?}");
    }
    for (length, is_taken) in [(128, true), (129, false)] {
        assert_eq!(function_takes("Tags", &json!([{"Key": "k".repeat(length), "Value": ""}]).to_string()), is_taken);
        assert_eq!(
            function_takes("Tags", &json!([{"Key": "k", "Value": "v".repeat(length * 2)}]).to_string()),
            is_taken
        );
    }
}
