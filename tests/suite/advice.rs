//! Failures of AWS, each with its own advice in the status reason.

use serde_json::json;

use crate::support::World;
use crate::support::aws::{AwsFault, AwsHow};

/// "Troubleshoot access denied error messages" of the IAM user guide has the wording of each.
const PERMANENT: [(&str, &str); 11] = [
    ("with an explicit deny in a service control policy", "SCP"),
    (
        "with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-1/service_control_policy/p-1",
        "SCP",
    ),
    ("with an explicit deny in a resource control policy", "RCP"),
    ("with an explicit deny in a permissions boundary", "permissions boundary of the function's role"),
    ("with an explicit deny in a session policy", "session policy"),
    ("with an explicit deny in an identity-based policy", "remove its Deny statement"),
    ("with an explicit deny in a VPC endpoint policy", "VPC endpoint"),
    ("with an explicit deny", "administrator"),
    ("because no service control policy allows the iam:CreateUser action", "SCP"),
    ("because no permissions boundary allows the iam:CreateUser action", "FunctionPermissionsBoundaryArn"),
    ("because no VPC endpoint policy allows the iam:CreateUser action", "VPC endpoint"),
];

fn denied(action: &'static str, reason: &str) -> AwsFault {
    let message = format!(
        "User: arn:aws:sts::111122223333:assumed-role/function/function is not authorized to perform: iam:{action} on \
         resource: arn:aws:iam::111122223333:user/coiled {reason}"
    );
    // The fault takes static texts, as most are.
    AwsFault { action, how: AwsHow::Error(403, "AccessDenied", message.leak()), times: u32::MAX }
}

#[tokio::test]
async fn a_permanent_denial_is_not_retried_and_the_status_reason_names_the_kind_of_policy() {
    for (reason, words) in PERMANENT {
        let world = World::new().await;
        world.aws.fault(denied("CreateUser", reason));
        world.create(json!({})).await.failed(&["CreateUser", words, "Then try again."]);
        let calls = world.aws.actions().iter().filter(|action| *action == "CreateUser").count();
        assert_eq!(calls, 1, "{reason}");
    }
}

/// A new role's own policies reach each service at a different time (aws-cdk#18237).
#[tokio::test]
async fn a_missing_permission_of_the_role_is_retried_because_it_may_still_arrive() {
    let world = World::new().await;
    let mut fault = denied("CreateUser", "because no identity-based policy allows the iam:CreateUser action");
    fault.times = 2;
    world.aws.fault(fault);
    world.create(json!({})).await.succeeded();
}
