//! The stacks whose role is checked: each way to pass the token, combined with each optional parameter.

use super::template::{Parameters, Place};

/// The parameter groups. A stack gets one entry of each group.
const TOKENS: [&[&str]; 3] =
    [&["CoiledToken"], &["CoiledTokenSecretArn"], &["CoiledTokenSecretArn", "CoiledTokenKmsKeyArn"]];
const HUBS: [&[&str]; 3] = [&[], &["DockerHubTokenSecretArn"], &["DockerHubTokenSecretArn", "DockerHubTokenKmsKeyArn"]];
const USERS: [&[&str]; 3] = [&[], &["UserName"], &["UserName", "UserPath"]];
const BOUNDARIES: [&[&str]; 2] = [&[], &["PermissionsBoundaryArn"]];

/// Every combination in the partition `aws`, and the one with the most parameters in the other partitions.
pub fn all() -> Vec<(Parameters, Place)> {
    let place = Place::new("aws", "us-east-1", "111122223333");
    let mut all = Vec::new();
    for token in TOKENS {
        for hub in HUBS {
            for user in USERS {
                for boundary in BOUNDARIES {
                    let given = [token, hub, user, boundary].concat();
                    all.push((values(&given, &place), place.clone()));
                }
            }
        }
    }
    let fullest = [TOKENS[2], HUBS[2], USERS[2], BOUNDARIES[1]].concat();
    for (partition, region) in [("aws-cn", "cn-northwest-1"), ("aws-us-gov", "us-gov-west-1")] {
        let place = Place::new(partition, region, "111122223333");
        all.push((values(&fullest, &place), place));
    }
    all
}

/// A valid value for each of these parameters.
fn values(names: &[&str], place: &Place) -> Parameters {
    let Place { partition, region, account, .. } = place;
    let arn = |service: &str, rest: &str| format!("arn:{partition}:{service}:{region}:{account}:{rest}");
    let value = |name: &&str| match *name {
        "CoiledToken" => "pasted".to_owned(),
        "CoiledTokenSecretArn" => arn("secretsmanager", "secret:theirs/coiled-QqRrSs"),
        "CoiledTokenKmsKeyArn" => arn("kms", "key/1a2b3c4d-0000-4000-8000-000000000001"),
        "DockerHubTokenSecretArn" => arn("secretsmanager", "secret:theirs/hub-TtUuVv"),
        "DockerHubTokenKmsKeyArn" => arn("kms", "key/1a2b3c4d-0000-4000-8000-000000000002"),
        "UserName" => "dask+1@team".to_owned(),
        "UserPath" => "/vendors/data/".to_owned(),
        "PermissionsBoundaryArn" => format!("arn:{partition}:iam::{account}:policy/bounds/coiled"),
        other => panic!("add a value for the parameter {other} here"),
    };
    names.iter().map(|name| ((*name).to_owned(), value(name))).collect()
}
