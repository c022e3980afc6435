"""Runs the commands against AWS and Coiled on 127.0.0.1, up to the point where something would be built or changed."""

import contextlib
import io
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from . import local
from .__main__ import main

OURS = ("", "GetTemplate"), local.template("Custom::CoiledConnection")
UNKNOWN = local.error("InvalidClientTokenId", "The security token included in the request is invalid.")
LOST_CREATION = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED")
BUSY = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS")


class Program(unittest.TestCase):
    """Each test runs a command without a terminal."""

    def run_command(self, command, answers=(), **environment):
        """Runs a command. Returns the exit code, and what it printed."""
        self.server = local.Local(answers)
        settings = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "AWS_ENDPOINT_URL": self.server.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        } | environment
        out = io.StringIO()
        with (
            self.server,
            mock.patch.dict(os.environ, {name: value for name, value in settings.items() if value}, clear=True),
            mock.patch("sys.argv", ["stack", command]),
            open(os.devnull) as nothing,
            mock.patch("sys.stdin", nothing),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
        ):
            code = main()
        return code, out.getvalue()

    def expect(self, code, texts, command, answers=(), **environment):
        """Runs a command. Checks its exit code, that it prints these texts, and that it changes nothing."""
        got, printed = self.run_command(command, answers, **environment)
        for text in texts:
            self.assertIn(text, printed)
        self.assertEqual(code, got, printed)
        self.assertIn("Nothing was built or changed.", printed)
        self.assertNotIn(local.TOKEN, printed)
        read_only = {"GetCallerIdentity", "ListAccountAliases", "DescribeStacks", "GetTemplate", "/api/v2/user/me"}
        self.assertLessEqual({what for _, what, _ in self.server.requests}, read_only)

    def deploy(self, code, texts, answers=(), **environment):
        """`expect` for a deployment that has everything it needs."""
        given = {"YES": "1", "COILED_TOKEN": local.TOKEN}
        self.expect(code, texts, "deploy", answers, **(given | environment))


class WrongUse(Program):
    """Errors that do not depend on the state of AWS or Coiled. No request is sent."""

    def expect_at_once(self, texts, command, **environment):
        self.expect(2, texts, command, **environment)
        self.assertEqual([], self.server.requests)

    def test_without_a_terminal_only_yes_consents(self):
        for command in ("deploy", "update", "delete"):
            self.expect_at_once(["not a terminal", "YES=1"], command, COILED_TOKEN=local.TOKEN)
            self.expect_at_once(["not a terminal", "YES=1"], command, COILED_TOKEN=local.TOKEN, YES="0")

    def test_without_a_terminal_the_token_must_be_given(self):
        self.expect_at_once(["token is missing", "COILED_TOKEN", "CoiledTokenSecretArn"], "deploy", YES="1")
        self.expect_at_once(["token is missing"], "update", YES="1", SET_TEXT="CoiledToken=ask")

    def test_without_a_terminal_the_region_must_be_known(self):
        self.expect_at_once(["region is missing", "REGION="], "status", AWS_DEFAULT_REGION="")

    def test_wrong_settings(self):
        for text in ("Rotatekey=a", "AttachSetupPolicy=maybe", 'RotateKey="a', "Ingress=[1"):
            self.expect_at_once([text.partition("=")[0]], "update", YES="1", SET_TEXT=text, AWS_PROFILE="absent")

    def test_wrong_options(self):
        self.expect_at_once(["STACK=1st"], "status", STACK="1st")
        self.expect_at_once(["YES=maybe"], "update", YES="maybe")
        self.expect_at_once(["ROLE_ARN=admin"], "deploy", ROLE_ARN="admin", YES="1")
        self.expect_at_once(["SET is only for"], "delete", SET_TEXT="ForceDisconnect=true", YES="1")
        self.expect_at_once(["BUCKET=s3://a"], "deploy", BUCKET="s3://a", YES="1")
        self.expect_at_once(["SSL_CERT_FILE=/absent"], "status", SSL_CERT_FILE="/absent")

    def test_a_region_that_does_not_exist(self):
        self.expect_at_once(["'us-est-1'", "us-east-1"], "status", REGION="us-est-1")


class Account(Program):
    """AWS credentials and regions."""

    def test_no_credentials(self):
        self.expect(1, ["no AWS credentials", "aws configure"], "status", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")

    def test_a_profile_that_does_not_exist(self):
        self.expect(1, ["absent", "aws configure list-profiles"], "status", AWS_PROFILE="absent")

    def test_an_expired_session(self):
        answers = {("", "GetCallerIdentity"): local.error("ExpiredToken", "The security token is expired")}
        self.expect(1, ["session has expired", "aws sso login"], "status", answers)

    def test_an_expired_session_of_a_profile_names_the_profile(self):
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder, "config")
            config.write_text(
                "[profile work]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = admin\n"
                "[sso-session s]\nsso_region = us-east-1\nsso_start_url = http://127.0.0.1:9/start\n"
            )
            wanted = {"AWS_PROFILE": "work", "AWS_CONFIG_FILE": str(config), "AWS_ACCESS_KEY_ID": ""}
            self.expect(1, ["aws sso login --profile work"], "status", **wanted)

    def test_unknown_credentials(self):
        answers = {("", "GetCallerIdentity"): UNKNOWN}
        self.expect(1, ["does not know these credentials"], "status", answers, REGION="eu-west-1")

    def test_a_region_that_is_not_enabled(self):
        answers = {("ap-east-1", "GetCallerIdentity"): UNKNOWN}
        self.expect(1, ["ap-east-1 is not enabled", "enable-region"], "status", answers, REGION="ap-east-1")

    def test_a_permission_that_is_missing(self):
        answers = {("", "DescribeStacks"): local.error("AccessDenied", "no identity-based policy allows it")}
        self.expect(1, ["DescribeStacks", "docs/deployer.md"], "status", answers)

    def test_a_proxy_that_responds_in_place_of_aws(self):
        for answer, text in (
            (local.page(200), "GetCallerIdentity did not come from AWS (status 200, text/html)"),
            (local.page(407), "GetCallerIdentity did not come from AWS (status 407, text/html)"),
            (local.half("GetCallerIdentity"), "GetCallerIdentity broke off"),
            (local.CLOSED, "Connection was closed"),
            ((200, "no XML"), "A response of AWS, or of a proxy, cannot be read"),
        ):
            self.expect(1, [text, "HTTPS_PROXY"], "status", {("", "GetCallerIdentity"): answer})

    def test_a_proxy_that_responds_to_a_later_call(self):
        for action in ("DescribeStacks", "GetTemplate"):
            answers = {("", "DescribeStacks"): local.stack("CREATE_COMPLETE"), ("", action): local.page(200)}
            self.expect(1, [f"{action} did not come from AWS (status 200, text/html)", "HTTPS_PROXY"], "status", answers)

    def test_a_proxy_that_fails(self):
        texts = ["GetCallerIdentity failed", "responded with the status 502", "HTTPS_PROXY"]
        self.expect(1, texts, "status", {("", "GetCallerIdentity"): local.page(502)})

    def test_an_endpoint_that_does_not_respond(self):
        self.expect(1, ["cannot be reached", "HTTPS_PROXY"], "status", AWS_ENDPOINT_URL="http://127.0.0.1:9")


class Stacks(Program):
    """Stacks of that name, in this region and in others."""

    def test_a_stack_of_another_template_is_left_alone(self):
        answers = {("", "DescribeStacks"): local.stack("CREATE_COMPLETE"), ("", "GetTemplate"): local.template("A::B")}
        for command in ("deploy", "update", "status", "delete"):
            given = {"YES": "1", "COILED_TOKEN": local.TOKEN}
            self.expect(1, ["not a stack of this project"], command, dict(answers), **given)

    def expect_status(self, command, status, texts, more=""):
        answers = dict([OURS]) | {("", "DescribeStacks"): local.stack(status, more)}
        self.expect(1, [status, *texts], command, answers, YES="1", COILED_TOKEN=local.TOKEN)

    def test_deploy_names_the_command_that_helps(self):
        for status in LOST_CREATION:
            self.expect_status("deploy", status, ["make delete REGION=us-east-1"])
        for status in BUSY:
            self.expect_status("deploy", status, ["make status REGION=us-east-1"])
        self.expect_status("deploy", "UPDATE_ROLLBACK_COMPLETE", ["already exists", "make update REGION=us-east-1"])
        self.expect_status("deploy", "DELETE_FAILED", ["make delete", "docs/break-glass.md"])
        self.expect_status("deploy", "REVIEW_IN_PROGRESS", ["never executed", "make delete"])

    def test_update_names_the_command_that_helps(self):
        for status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED"):
            self.expect_status("update", status, ["make delete", "make deploy"])
        self.expect_status("update", "CREATE_IN_PROGRESS", ["make status"])
        self.expect_status("update", "DELETE_FAILED", ["make delete"])
        self.expect_status("update", "UPDATE_ROLLBACK_FAILED", ["aws cloudformation continue-update-rollback"])

    def test_delete_names_the_command_that_helps(self):
        protected = "<EnableTerminationProtection>true</EnableTerminationProtection>"
        self.expect_status("delete", "UPDATE_IN_PROGRESS", ["make status"])
        answers = dict([OURS]) | {("", "DescribeStacks"): local.stack("CREATE_COMPLETE", protected)}
        self.expect(1, ["--no-enable-termination-protection"], "delete", answers, YES="1")

    def test_a_stack_in_another_region(self):
        answers = {("eu-west-1", "DescribeStacks"): local.stack("CREATE_COMPLETE")}
        for command in ("update", "status", "delete"):
            texts = ["no stack coiled in us-east-1", "There is one in eu-west-1", "make status REGION=eu-west-1"]
            self.expect(1, texts, command, dict(answers), YES="1")

    def test_no_stack_anywhere(self):
        answers = {("ap-east-1", "DescribeStacks"): UNKNOWN, ("eu-west-1", "DescribeStacks"): local.error("AccessDenied", "")}
        texts = ["No other region that is enabled", "1 region could not be searched", "make deploy REGION=us-east-1"]
        self.expect(1, texts, "status", answers)


class Token(Program):
    """The token is checked with Coiled."""

    def test_a_token_that_coiled_rejects(self):
        with local.Local({("", "/api/v2/user/me"): (401, "{}")}) as coiled:
            texts = ["rejected the token", "Profile, API tokens"]
            self.deploy(1, texts, SET_TEXT=f"CoiledServer={coiled.url}")
        self.assertEqual([("", "/api/v2/user/me", f"ApiToken {local.TOKEN}")], coiled.requests)

    def test_a_text_that_is_not_a_token(self):
        self.deploy(2, ["not a token"], COILED_TOKEN="****")

    def test_a_workspace_that_is_connected_already(self):
        me = '{"username": "ada", "default_account": {"slug": "demo"}}'
        connected = '{"backend": "vm", "options": {"provider_name": "aws", "aws_region_name": "us-east-2"}}'
        answers = {("", "/api/v2/user/me"): (200, me), ("", "/api/v1/demo/backend_options/"): (200, connected)}
        with local.Local(answers) as coiled:
            texts = ["demo is already connected", "AdoptExisting=true"]
            self.deploy(1, texts, SET_TEXT=f"CoiledServer={coiled.url}")

    def test_two_sources_of_the_token(self):
        arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:a-AbCdEf"
        self.deploy(2, ["both set"], SET_TEXT=f"CoiledToken=ask CoiledTokenSecretArn={arn}")


if __name__ == "__main__":
    unittest.main()
