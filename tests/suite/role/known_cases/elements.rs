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
        case("in whatever order they stand", json!([deny, allow_all()]), attach(), Denied),
        case(
            "a Deny of something else is none",
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
        action("* is any characters", json!("iam:*AccessKey*"), "iam:GetAccessKeyLastUsed", Allowed),
        action("? is one character", json!("iam:GetUse?"), "iam:GetUser", Allowed),
        action("? is not no character", json!("iam:GetUser?"), "iam:GetUser", NotGranted),
        action("without a wildcard the name is whole", json!("iam:Get"), "iam:GetUser", NotGranted),
        action("many actions: any of them", json!(["s3:GetObject", "iam:GetUser"]), "iam:GetUser", Allowed),
        action("another service's action of that name", json!("s3:GetUser"), "iam:GetUser", NotGranted),
        not_action("everything except the list", json!(["iam:*"]), "s3:GetObject", Allowed),
        not_action("and not what is in it", json!(["iam:*", "s3:*"]), "s3:GetObject", NotGranted),
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
        resource("a prefix is not the name", USER, &user("coiled2"), NotGranted),
        resource("nor is an ending", USER, &user("a-coiled"), NotGranted),
        resource("* includes the slash", &user("accounting/*"), &user("accounting/a/bob"), Allowed),
        resource("* within a part", &user("c*d"), &user("coiled"), Allowed),
        resource("? is one character", &user("coile?"), &user("coiled"), Allowed),
        resource("wildcards are for within the parts", "arn:aws:iam::1?:user/a", "arn:aws:iam::1:user/a", NotGranted),
        resource("? is no colon", "arn:aws:s3:::a?b", "arn:aws:s3:::a:b", NotGranted),
        resource("* in a part crosses no colon", "arn:aws:s3:::a*b", "arn:aws:s3:::a:b", NotGranted),
        resource("but at its end it may", "arn:aws:logs:*:log-group:a", "arn:aws:logs:r:1:log-group:a", Allowed),
        resource(
            "a stream of a group",
            "arn:aws:logs:r:1:log-group:g:*",
            "arn:aws:logs:r:1:log-group:g:log-stream:s",
            Allowed,
        ),
        resource("* alone is everything", "*", USER, Allowed),
        resource("another account's", USER, "arn:aws:iam::999988887777:user/coiled", NotGranted),
        resource("another partition's", USER, "arn:aws-cn:iam::111122223333:user/coiled", NotGranted),
        resource("another type's", USER, "arn:aws:iam::111122223333:role/coiled", NotGranted),
        on(RESOURCE, "many: any of them", "Resource", json!([user("a"), USER]), USER, Allowed),
        on(NOT_RESOURCE, "everything except it", "NotResource", json!(USER), &user("other"), Allowed),
        on(NOT_RESOURCE, "and not it", "NotResource", json!(USER), USER, NotGranted),
        name("a path is part of the ARN", &user("vendors/coiled"), USER, NotGranted),
        name("and has to be named", USER, &user("vendors/coiled"), NotGranted),
    ]
}
