//! Effect, Action and Resource.

use serde_json::json;

use super::*;

const LOGIC: &str = "reference_policies_evaluation-logic_policy-eval-denyallow.html";
const ACTION: &str = "reference_policies_elements_action.html";
const NOT_ACTION: &str = "reference_policies_elements_notaction.html";
const RESOURCE: &str = "reference_policies_elements_resource.html";
const NOT_RESOURCE: &str = "reference_policies_elements_notresource.html";
const NAMES: &str = "reference_identifiers.html#identifiers-arns";

pub(super) fn cases() -> Vec<Case> {
    effects().into_iter().chain(actions()).chain(resources()).collect()
}

fn effects() -> Vec<Case> {
    let deny = json!({"Effect": "Deny", "Action": "iam:*", "Resource": "*"});
    let case = |says, statements, request, decision| Case { says, page: LOGIC, statements, request, decision };
    vec![
        case("by default all requests are denied", json!([]), attach(), NotGranted),
        case("an Allow overrides that default", json!(allow_all()), attach(), Allowed),
        case("a Deny overrides any Allow", json!([allow_all(), deny]), attach(), Denied),
        case("a Deny overrides any Allow, in any order", json!([deny, allow_all()]), attach(), Denied),
        case(
            "a Deny for another action does not apply",
            json!([allow_all(), deny]),
            Request::new("s3:GetObject", "x"),
            Allowed,
        ),
        case("a Deny alone grants nothing", json!([deny]), Request::new("s3:GetObject", "x"), NotGranted),
    ]
}

fn actions() -> Vec<Case> {
    let statement = |element: &str, actions| json!({"Effect": "Allow", element: actions, "Resource": "*"});
    let action = |says, pattern, asked: &str, decision| Case {
        says,
        page: ACTION,
        statements: statement("Action", pattern),
        request: Request::new(asked, USER),
        decision,
    };
    let not_action = |says, pattern, asked: &str, decision| Case {
        says,
        page: NOT_ACTION,
        statements: statement("NotAction", pattern),
        request: Request::new(asked, USER),
        decision,
    };
    vec![
        action("prefix and name ignore case", json!("IAM:attachuserpolicy"), "iam:AttachUserPolicy", Allowed),
        action("* is any number of characters", json!("iam:*AccessKey*"), "iam:GetAccessKeyLastUsed", Allowed),
        action("? is one character", json!("iam:GetUse?"), "iam:GetUser", Allowed),
        action("? does not match an empty string", json!("iam:GetUser?"), "iam:GetUser", NotGranted),
        action("without a wildcard the whole name must match", json!("iam:Get"), "iam:GetUser", NotGranted),
        action("several actions: any of them", json!(["s3:GetObject", "iam:GetUser"]), "iam:GetUser", Allowed),
        action("an action with the same name in another service", json!("s3:GetUser"), "iam:GetUser", NotGranted),
        not_action("everything except the list", json!(["iam:*"]), "s3:GetObject", Allowed),
        not_action("an action in the list is excluded", json!(["iam:*", "s3:*"]), "s3:GetObject", NotGranted),
    ]
}

fn resources() -> Vec<Case> {
    let statement = |element: &str, patterns| json!({"Effect": "Allow", "Action": "*", element: patterns});
    let on = |page, says, element, pattern, asked: &str, decision| Case {
        says,
        page,
        statements: statement(element, pattern),
        request: Request::new("iam:GetUser", asked),
        decision,
    };
    let resource =
        |says, pattern: &str, asked, decision| on(RESOURCE, says, "Resource", json!(pattern), asked, decision);
    let name = |says, pattern: &str, asked, decision| on(NAMES, says, "Resource", json!(pattern), asked, decision);
    let user = |rest: &str| format!("arn:aws:iam::111122223333:user/{rest}");
    vec![
        resource("one user", USER, USER, Allowed),
        resource("the name is case sensitive", USER, &user("Coiled"), NotGranted),
        resource("the beginning of a name does not match", USER, &user("coiled2"), NotGranted),
        resource("the end of a name does not match", USER, &user("a-coiled"), NotGranted),
        resource("* includes the slash", &user("accounting/*"), &user("accounting/a/bob"), Allowed),
        resource("* within a part", &user("c*d"), &user("coiled"), Allowed),
        resource("? is one character", &user("coile?"), &user("coiled"), Allowed),
        resource(
            "? does not match the colon after a part",
            "arn:aws:iam::1?:user/a",
            "arn:aws:iam::1:user/a",
            NotGranted,
        ),
        resource("? does not match a colon", "arn:aws:s3:::a?b", "arn:aws:s3:::a:b", NotGranted),
        resource("* inside a part does not cross a colon", "arn:aws:s3:::a*b", "arn:aws:s3:::a:b", NotGranted),
        resource(
            "* at the end can cross a colon",
            "arn:aws:logs:*:log-group:a",
            "arn:aws:logs:r:1:log-group:a",
            Allowed,
        ),
        resource(
            "a log stream of a log group",
            "arn:aws:logs:r:1:log-group:g:*",
            "arn:aws:logs:r:1:log-group:g:log-stream:s",
            Allowed,
        ),
        resource("* alone matches everything", "*", USER, Allowed),
        resource("another account", USER, "arn:aws:iam::999988887777:user/coiled", NotGranted),
        resource("another partition", USER, "arn:aws-cn:iam::111122223333:user/coiled", NotGranted),
        resource("another resource type", USER, "arn:aws:iam::111122223333:role/coiled", NotGranted),
        on(RESOURCE, "several resources: any of them", "Resource", json!([user("a"), USER]), USER, Allowed),
        on(NOT_RESOURCE, "everything except the resource", "NotResource", json!(USER), &user("other"), Allowed),
        on(NOT_RESOURCE, "the resource itself is excluded", "NotResource", json!(USER), USER, NotGranted),
        name("a path is part of the ARN", &user("vendors/coiled"), USER, NotGranted),
        name("an ARN without a path does not match one with a path", USER, &user("vendors/coiled"), NotGranted),
    ]
}
