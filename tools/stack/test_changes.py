"""Which parameters a change set gets, and how a stack's events are followed."""

import os
import unittest
from unittest import mock

import boto3
from botocore.config import Config

from . import changes, local, parameters, template
from .events import Events
from .problem import Misuse
from .secret import Token

ARN = "arn:aws:secretsmanager:us-east-1:111122223333:secret:a-AbCdEf"
DECLARED = {"CoiledToken": {"NoEcho": True, "Default": ""}, "CoiledTokenSecretArn": {}, "Region": {}, "New": {}}
STACK = f"arn:aws:cloudformation:us-east-1:{local.ACCOUNT}:stack/coiled/1"
PASTED = {"CoiledToken": "****", "CoiledTokenSecretArn": "", "Region": "us-east-2", "Removed": "a"}
OWN = PASTED | {"CoiledTokenSecretArn": ARN}


class Parameters(unittest.TestCase):
    """New values, kept values, and exactly one source for the token."""

    def test_everything_that_is_not_set_keeps_its_value(self):
        kept = {"UsePreviousValue": True}
        self.assertEqual(
            [
                {"ParameterKey": "Region", "ParameterValue": "eu-west-1"},
                {"ParameterKey": "CoiledToken"} | kept,
                {"ParameterKey": "CoiledTokenSecretArn"} | kept,
            ],
            parameters.request(DECLARED, PASTED, {"Region": "eu-west-1"}),
        )

    def test_a_new_stack_needs_a_token_unless_it_has_a_secret(self):
        self.assertTrue(parameters.needs_token({}, {}))
        self.assertFalse(parameters.needs_token({"CoiledTokenSecretArn": ARN}, {}))

    def test_an_update_needs_a_token_only_if_the_token_changes(self):
        self.assertFalse(parameters.needs_token({"Region": "eu-west-1"}, PASTED))
        self.assertFalse(parameters.needs_token({"CoiledTokenSecretArn": ""}, PASTED))
        self.assertTrue(parameters.needs_token({"CoiledToken": "ask"}, PASTED))
        self.assertTrue(parameters.needs_token({"CoiledToken": "ask"}, OWN))
        self.assertTrue(parameters.needs_token({"CoiledTokenSecretArn": ""}, OWN))

    def test_a_token_and_a_secret_cannot_both_be_set(self):
        with self.assertRaises(Misuse):
            parameters.needs_token({"CoiledToken": "ask", "CoiledTokenSecretArn": ARN}, PASTED)

    def test_the_other_source_is_cleared(self):
        secret = {"CoiledTokenSecretArn": ARN}
        self.assertEqual(secret | {"CoiledToken": ""}, parameters.with_source(secret, None, PASTED))
        self.assertEqual(secret, parameters.with_source(secret, None, OWN))
        pasted = {"CoiledToken": "a-b", "CoiledTokenSecretArn": "", "CoiledTokenKmsKeyArn": ""}
        self.assertEqual(pasted, parameters.with_source({"CoiledToken": "ask"}, Token("a-b"), OWN))

    def test_the_other_source_satisfies_the_rules_of_the_template(self):
        declared = template.parameters()
        for settings, token, current in (
            ({"CoiledTokenSecretArn": ARN}, None, PASTED),
            ({"CoiledToken": "ask"}, Token("a-b"), OWN),
            ({"Region": "us-east-1"}, None, OWN),
            ({"Region": "us-east-1"}, None, PASTED),
            ({}, Token("a-b"), {}),
        ):
            wanted = parameters.with_source(settings, token, current)
            template.check_rules(parameters.effective(declared, current, wanted))
        with self.assertRaisesRegex(Misuse, "either CoiledToken or"):
            template.check_rules(parameters.effective(declared, PASTED, {"CoiledTokenSecretArn": ARN}))

    def test_differences_do_not_show_the_token(self):
        wanted = {"CoiledToken": "a-b", "Region": "eu-west-1", "New": ""}
        lines = list(parameters.differences(DECLARED, PASTED, wanted))
        self.assertEqual(["CoiledToken: a new value", "Region: us-east-2 → eu-west-1"], lines)

    def test_a_token_does_not_show_itself(self):
        token = Token("a-b")
        self.assertNotIn("a-b", f"{token} {token!r} {[token]}")


class Templates(unittest.TestCase):
    """Deployed templates, as text and as a dictionary."""

    def test_the_connection_tells_our_stacks_from_others(self):
        self.assertTrue(template.is_ours(template.FILE.read_text(encoding="utf-8")))
        self.assertFalse(template.is_ours("Resources: {A: {Type: 'AWS::S3::Bucket'}}"))
        self.assertFalse(template.is_ours({}))

    def test_the_place_of_the_code(self):
        for properties in ({"CodeUri": "s3://a/b/c"}, {"Code": {"S3Bucket": "a", "S3Key": "b/c"}}):
            self.assertEqual(("a", "b/c"), template.code({"Resources": {"Function": {"Properties": properties}}}))
        published = {"S3Bucket": {"Fn::If": ["HasCodeBucket", {"Ref": "CodeS3Bucket"}, "a"]}, "S3Key": "b/c"}
        for properties in ({"CodeUri": "."}, {"Code": published}, {"Code": {"ZipFile": ""}}):
            self.assertIsNone(template.code({"Resources": {"Function": {"Properties": properties}}}))

    def test_a_change_names_its_causes(self):
        change = {"Action": "Modify", "LogicalResourceId": "A", "ResourceType": "B", "Replacement": "True"}
        change["Details"] = [{"Target": {"Attribute": "Properties", "Name": "Role"}}, {"Target": {"Attribute": "Tags"}}]
        self.assertEqual(["Modify A, B, replaced (Role, Tags)"], list(changes.lines([change])))


class Following(unittest.TestCase):
    """Events as CloudFormation returns them, newest first."""

    def follow(self, *answers):
        """Follows events to the end. Returns the status, the shown events, the pauses and the cause of a failure."""
        shown, pauses = [], []
        config = Config(retries={"total_max_attempts": 1}, proxies={})
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        pages = local.Local({("", "DescribeStackEvents"): [_page("0"), *answers]})
        # Without the variables of whoever runs the tests, such as AWS_PROFILE.
        with pages as server, mock.patch.dict(os.environ, {"HOME": "/nonexistent"}, clear=True):
            client = boto3.session.Session().client("cloudformation", endpoint_url=server.url, config=config, **keys)
            followed = Events(client, STACK)
            server.answers["", "DescribeStacks"] = local.stack("UPDATE_IN_PROGRESS")
            status = followed.follow(shown.append, pauses.append)
        return status, [event["EventId"] for event in shown], pauses, followed.cause()

    def test_each_new_event_is_shown_once_and_in_order(self):
        status, shown, _, cause = self.follow(_page("0"), _page("2", "1", "0"), _page("end", "3", "2", "1", "0"))
        self.assertEqual(("UPDATE_COMPLETE", ["1", "2", "3", "end"], None), (status, shown, cause))

    def test_after_throttling_the_events_are_read_again_with_longer_pauses(self):
        throttled = local.error("Throttling", "Rate exceeded")
        status, shown, pauses, _ = self.follow(throttled, throttled, _page("1", "0"), _page("end", "1", "0"))
        self.assertEqual(("UPDATE_COMPLETE", ["1", "end"], [2, 4, 1]), (status, shown, pauses))

    def test_the_cause_is_the_first_failure_that_was_not_cancelled(self):
        page = _page("end", "failed", "cancelled", "0")
        self.assertEqual("failed", self.follow(page)[3]["EventId"])


def _page(*names):
    return local.ok("DescribeStackEvents", f"<StackEvents>{''.join(map(_event, names))}</StackEvents>")


def _event(name):
    kind, identity = ("AWS::CloudFormation::Stack", STACK) if name == "end" else ("AWS::Lambda::Function", "a")
    status = {"end": "UPDATE_COMPLETE", "failed": "UPDATE_FAILED", "cancelled": "UPDATE_FAILED"}.get(name, "UPDATE_COMPLETE")
    reason = "Resource update cancelled" if name == "cancelled" else ""
    return (
        f"<member><EventId>{name}</EventId><ResourceType>{kind}</ResourceType><LogicalResourceId>A</LogicalResourceId>"
        f"<PhysicalResourceId>{identity}</PhysicalResourceId><ResourceStatus>{status}</ResourceStatus>"
        f"<ResourceStatusReason>{reason}</ResourceStatusReason><Timestamp>2026-01-01T00:00:00Z</Timestamp></member>"
    )


if __name__ == "__main__":
    unittest.main()
