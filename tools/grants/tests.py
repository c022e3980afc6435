"""Introduces one fault at a time into a copy of the templates, and expects the check to find it."""

import tomllib
import unittest
from pathlib import Path

from .__main__ import problems, problems_of_publisher
from .arn import matches
from .check import problems as of_statement
from .reference import FILE, Reference
from .template import Template

TEMPLATE, DEPLOYER, PUBLISHER = (Path(f"{name}.yaml").read_text() for name in ("template", "deployer", "publisher"))
REFERENCE = Reference(FILE)

IAM = "arn:${AWS::Partition}:iam::${AWS::AccountId}"
ROLE = f"{IAM}:role/"
BUCKET = "arn:${AWS::Partition}:s3:::aws-sam-cli-managed-default-samclisourcebucket-*"
VIA_CLOUDFORMATION = "              ForAnyValue:StringEquals: {aws:CalledVia: cloudformation.amazonaws.com}\n"
INDEX_POLICIES = "[logs:DescribeIndexPolicies, logs:DescribeLogGroups, logs:DescribeResourcePolicies]"


def replaced(text, old, new):
    """The text with one passage replaced. The text must contain the passage."""
    if old not in text:
        raise AssertionError(f"the template does not contain: {old}")
    return text.replace(old, new)


class TemplateFaults(unittest.TestCase):
    """Faults in the templates themselves."""

    def expect(self, expected, old, new="", file="deployer.yaml"):
        texts = {"template.yaml": TEMPLATE, "deployer.yaml": DEPLOYER}
        texts[file] = replaced(texts[file], old, new)
        found = list(problems(*map(Template, texts.values()), REFERENCE))
        self.assertTrue(any(p.startswith(file) and expected in p for p in found), found)

    def test_the_templates_have_no_problems(self):
        self.assertEqual([], list(problems(Template(TEMPLATE), Template(DEPLOYER), REFERENCE)))

    def test_a_role_that_may_be_absent_needs_a_grant_without_its_path(self):
        without = f"                  - !Sub {ROLE}${{StackName}}-FunctionRole-*\n"
        self.expect("iam:GetRole: if the resource does not exist", without)

    def test_a_user_that_may_be_absent_needs_a_grant_without_its_path(self):
        without = f'                  - !If [HasPath, !Sub "{IAM}:user/${{UserName}}", !Ref AWS::NoValue]\n'
        self.expect("iam:GetUser: if the resource does not exist", without, file="template.yaml")

    def test_an_action_without_resource_level_permissions_needs_all_resources(self):
        self.expect("logs:DescribeIndexPolicies: does not support", "logs:DeleteLogGroup", "logs:DescribeIndexPolicies")
        self.expect("iam:ListUsers: does not support", "iam:ListMFADevices", "iam:ListUsers", file="template.yaml")

    def test_a_permission_that_a_handler_needs_is_granted_or_left_out_for_a_reason(self):
        self.expect("lambda:getfunctionscalingconfig: AWS's", "                  - lambda:GetFunctionScalingConfig\n")
        self.expect("logs:describeindexpolicies: AWS's", INDEX_POLICIES, "[logs:DescribeLogGroups]")
        self.expect("lambda:invokefunction: AWS's", "                  - lambda:InvokeFunction\n")
        self.expect("iam:attachrolepolicy: AWS's", "[iam:AttachRolePolicy, ", "[")
        self.expect("s3:putbucketversioning: AWS's", "              - s3:PutBucketVersioning\n")

    def test_a_grant_on_a_name_that_cloudformation_does_not_generate_is_found(self):
        self.expect("lambda:createfunction: it is not granted on", "-Function-*", "-Func-*")
        self.expect("logs:createloggroup: it is not granted on", "-FunctionLogs-*", "-Logs-*")
        self.expect("iam:passrole: it is not granted on", "role/stack-function/", "role/stack-functions/")
        renamed = replaced(TEMPLATE, "  TokenSecret:\n", "  TheToken:\n").replace("TokenSecret.Id", "TheToken.Id")
        found = list(problems(Template(renamed), Template(DEPLOYER), REFERENCE))
        self.assertTrue(any("secretsmanager:createsecret: it is not granted on" in p for p in found), found)

    def test_a_property_whose_permissions_are_left_out_must_not_be_set(self):
        timeout = "      Timeout: 900\n"
        texts = replaced(TEMPLATE, timeout, timeout + "      ReservedConcurrentExecutions: 1\n"), DEPLOYER
        found = list(problems(*map(Template, texts), REFERENCE))
        self.assertTrue(any("Function.ReservedConcurrentExecutions: the stack sets it" in p for p in found), found)

    def test_the_version_of_the_function_which_only_the_published_template_has_needs_permissions(self):
        self.expect("lambda:publishversion: AWS's", "                  - lambda:PublishVersion\n")
        # A version has the function's name and a number.
        self.expect("AbCdEfGhIjKl:1", "-Function-*\n", "-Function-????????????\n")
        setting = "FunctionVersion.ProvisionedConcurrencyConfig"
        self.expect("the stack sets it", setting, "FunctionVersion.CodeSha256")

    def test_a_fixed_partition_region_or_account_is_found(self):
        self.expect("in one partition", "arn:${AWS::Partition}:lambda", "arn:aws:lambda")
        self.expect("in one partition", "lambda:${AWS::Region}", "lambda:us-east-1")
        self.expect("in one partition", "iam::${AWS::AccountId}", "iam::123456789012", file="template.yaml")

    def test_a_new_resource_type_needs_the_permissions_of_its_handlers(self):
        queue = "Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n"
        texts = replaced(TEMPLATE, "Resources:\n", queue), DEPLOYER
        found = list(problems(*map(Template, texts), REFERENCE))
        self.assertTrue(any("sqs:createqueue" in p for p in found), found)

    def test_a_permission_that_is_left_out_must_be_needed_and_not_granted(self):
        self.expect("no handler needs it", "[lambda:GetLayerVersion]", "[lambda:PublishLayerVersion]")
        self.expect("but it is granted", "[lambda:GetLayerVersion]", "[lambda:CreateFunction]")

    def test_a_role_without_a_path_of_its_own_falls_under_coileds_policy(self):
        self.expect("iam:PassRole on it", "      Path: /stack-deployer/\n")
        self.expect("iam:PassRole on it", "Path: /stack-deployer/", "Path: /coiled-deployer/")
        self.expect("iam:PassRole on it", "      Path: /stack-function/\n", file="template.yaml")

    def test_objects_of_other_stacks_in_sams_bucket_are_out_of_reach(self):
        self.expect("s3:GetObject", f"{BUCKET}/${{StackName}}/*", f"{BUCKET}/*")
        self.expect("s3:PutObject", f"{BUCKET}/${{StackName}}/*", f"{BUCKET}/other/*")
        self.expect("s3:ListBucket", '              StringLike: {s3:prefix: !Sub "${StackName}/*"}\n')

    def test_settings_of_sams_bucket_change_only_through_cloudformation(self):
        self.expect("s3:PutBucketPolicy", VIA_CLOUDFORMATION, '              Bool: {aws:ViaAWSService: "true"}\n')
        self.expect("s3:CreateBucket", VIA_CLOUDFORMATION, VIA_CLOUDFORMATION.replace("cloudformation", "athena"))
        negated = VIA_CLOUDFORMATION.replace("StringEquals", "StringNotEquals")
        self.expect("s3:CreateBucket", VIA_CLOUDFORMATION, negated)

    def test_samconfig_uploads_to_the_folder_that_deployer_yaml_allows(self):
        deploy = tomllib.loads(Path("samconfig.toml").read_text())["default"]["deploy"]["parameters"]
        name = Template(DEPLOYER).default("StackName")
        self.assertEqual((name, name), (deploy["stack_name"], deploy["s3_prefix"]))

    def test_an_action_that_aws_does_not_have_is_found(self):
        self.expect("iam:GetRoles: AWS has no such action", "iam:GetRolePolicy", "iam:GetRoles")
        self.expect("AWS has no such action", "sts:AssumeRole", "sts:AssumeTheRole", file="template.yaml")
        self.expect("AWS has no such action", "logs:PutLogEvents", "log:PutLogEvents", file="template.yaml")

    def test_an_action_on_another_kind_of_resource_is_found(self):
        self.expect("iam:PassRole: never applies", f"{ROLE}stack-function", f"{IAM}:user/stack-function")
        self.expect("never applies", "!GetAtt FunctionLogs.Arn", "!GetAtt Function.Arn", file="template.yaml")
        self.expect("never applies", "!GetAtt FunctionLogs.Arn", "!Ref FunctionLogs", file="template.yaml")

    def test_a_condition_key_that_an_action_does_not_support_is_found(self):
        self.expect("condition key iam:PolicyARN", "{iam:PermissionsBoundary:", "{iam:PolicyARN:")
        self.expect("condition key iam:PassedToServices", "iam:PassedToService:", "iam:PassedToServices:")
        self.expect("condition key kms:ViaServices", "kms:ViaService:", "kms:ViaServices:", file="template.yaml")

    def test_a_fault_is_found_even_if_it_depends_on_a_parameter(self):
        for verb in ("Put", "Delete"):
            unknown = f"iam:{verb}UserBoundary"
            self.expect(unknown, f"iam:{verb}UserPermissionsBoundary", unknown, file="template.yaml")

    def test_a_policy_that_is_too_large_for_iam_is_found(self):
        actions = "".join(f"              - s3:GetObject{'?' * n}\n" for n in range(100))
        self.expect("IAM allows 6144", "              - s3:ListTagsForResource\n", actions)


class PublisherFaults(unittest.TestCase):
    """Faults in publisher.yaml."""

    def expect(self, expected, old, new):
        found = list(problems_of_publisher(Template(replaced(PUBLISHER, old, new)), REFERENCE))
        self.assertTrue(any(expected in p for p in found), found)

    def test_the_template_has_no_problems(self):
        self.assertEqual([], list(problems_of_publisher(Template(PUBLISHER), REFERENCE)))

    def test_faults_in_the_bucket_policy_are_found(self):
        self.expect("condition key s3:if-none-matches", "s3:if-none-match:", "s3:if-none-matches:")
        self.expect("s3:DeleteObject: never applies", "!Sub ${Bucket.Arn}/releases/*", "!GetAtt Bucket.Arn")
        self.expect("AWS has no such action", "s3:DeleteObjectVersion", "s3:DeleteVersion")

    def test_faults_in_the_role_are_found(self):
        self.expect("in one partition", "arn:${AWS::Partition}:s3", "arn:aws:s3")
        self.expect("s3:ListBucket: never applies", "-${AWS::AccountId}-*\n", "-${AWS::AccountId}-*/*\n")
        self.expect("iam:PassRole on it", "      Path: /stack-publisher/\n", "")

    def test_the_role_is_limited_to_buckets_of_its_own_account(self):
        # No emulator evaluates this condition. A stranger's bucket may have a matching name.
        statements = Template(PUBLISHER).statements()
        found = [s for where, s in statements if where.startswith("Publisher, ") and "Resource" in s]
        self.assertEqual(["Buckets", "Objects"], [statement["Sid"] for statement in found])
        for statement in found:
            self.assertEqual({"StringEquals": {"aws:ResourceAccount": "111122223333"}}, statement["Condition"])


class StatementFaults(unittest.TestCase):
    """Faults in a single statement."""

    def expect(self, expected, actions, resources, condition=None):
        statement = {"Effect": "Allow", "Action": actions, "Resource": resources, "Condition": condition or {}}
        found = of_statement(statement, REFERENCE)
        self.assertTrue(any(expected in p for p in found) if expected else not found, found)

    def test_an_object_is_not_a_bucket(self):
        self.expect("never applies", "s3:GetObject", "arn:aws:s3:::bucket")
        self.expect("never applies", "s3:ListBucket", "arn:aws:s3:::bucket/*")
        self.expect(None, ["s3:GetObject", "s3:ListBucket"], "arn:aws:s3:::bucket*")

    def test_an_arn_in_the_wrong_form_is_found(self):
        self.expect("never applies", "iam:GetUser", "arn:aws:iam:us-east-1:111122223333:user/x")
        self.expect("never applies", "iam:GetUser", "arn:aws:iam::user/x")
        self.expect("never applies", "lambda:GetFunction", "arn:aws:lambda:us-east-1:111122223333:functions:x")
        self.expect("never applies", "logs:PutLogEvents", "arn:aws:logs:us-east-1:111122223333:log-group:x")

    def test_a_resource_that_no_action_supports_is_found_beside_one_that_fits(self):
        bucket, role = "arn:aws:s3:::bucket", "arn:aws:iam::111122223333:role/x"
        self.expect(f"{role}: no action", "s3:ListBucket", [bucket, role])

    def test_a_wildcard_stands_for_all_actions_that_match(self):
        self.expect(None, "iam:Get*", "arn:aws:iam::111122223333:role/x")
        self.expect("AWS has no such action", "iam:Got*", "*")
        self.expect("does not support", "logs:DescribeIndex*", "arn:aws:logs:us-east-1:111122223333:log-group:x")

    def test_case_in_keys_and_actions_is_ignored(self):
        self.expect(None, "IAM:passrole", "*", {"StringEquals": {"iam:passedtoservice": "x"}})

    def test_tag_keys_are_not_global(self):
        self.expect("aws:RequestTag/team", "iam:GetRole", "*", {"StringEquals": {"aws:RequestTag/team": "x"}})
        self.expect(None, "iam:CreateRole", "*", {"StringEquals": {"aws:RequestTag/team": "x"}})
        self.expect(None, "iam:GetRole", "*", {"StringEquals": {"aws:ResourceTag/team": "x"}})

    def test_a_key_that_aws_does_not_have_is_found(self):
        self.expect("aws:CalledBy", "iam:GetRole", "*", {"StringEquals": {"aws:CalledBy": "x"}})

    def test_a_key_whose_type_does_not_fit_its_operator_is_found(self):
        self.expect("ArnEquals cannot", "iam:PassRole", "*", {"ArnEquals": {"iam:PassedToService": "x"}})
        self.expect("Bool cannot", "iam:PassRole", "*", {"Bool": {"aws:ResourceAccount": "x"}})
        self.expect("no condition operator", "iam:PassRole", "*", {"StringEqual": {"iam:PassedToService": "x"}})
        self.expect(None, "iam:PassRole", "*", {"StringEqualsIfExists": {"iam:PassedToService": "x"}})
        self.expect(None, "iam:PassRole", "*", {"Null": {"iam:PassedToService": "true"}})

    def test_a_key_with_several_values_needs_a_set_operator(self):
        self.expect("needs ForAnyValue", "s3:ListBucket", "*", {"StringEquals": {"aws:CalledVia": "x"}})
        self.expect(None, "s3:ListBucket", "*", {"ForAnyValue:StringEquals": {"aws:CalledVia": "x"}})

    def test_elements_that_the_check_cannot_judge_are_found(self):
        found = of_statement({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, REFERENCE)
        self.assertIn("NotAction", str(found))

    def test_wildcards_do_not_cross_the_first_five_parts_of_an_arn(self):
        form = "arn:${Partition}:lambda:${Region}:${Account}:function:${FunctionName}"
        self.assertTrue(matches("arn:*:lambda:*:*:function:x-*", form))
        self.assertFalse(matches("arn:*:function:x", form))


if __name__ == "__main__":
    unittest.main()
