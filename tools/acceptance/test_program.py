"""Runs the whole program on 127.0.0.1. Only the commands of tools/stack are replaced: they need CloudFormation."""

import contextlib
import functools
import io
import itertools
import os
import re
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import botocore.session
from botocore.exceptions import ClientError

from stack import local
from stack.problem import Problem

from . import __main__ as program
from . import trial
from .world import EVERYTHING, POLICIES, STACK, WORKSPACE, World

LOADER = botocore.loaders.create_loader()
USES = ("fresh", "deploy", "connected", "cluster", "detach", "rotate")
NAMES = {"cluster": "first cluster", "look_for_leftovers": "leftovers", "delete_again": "delete again"}
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "denied"}}, "SomeCall")


class Program(unittest.TestCase):
    """Each test has its own account and workspace."""

    def setUp(self):
        # Each run has its own session, but need not parse the SDK's data again.
        self.enterContext(mock.patch.object(botocore.session, "create_loader", lambda _: LOADER))
        self.world = self.enterContext(World())
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.file = folder / "report.md"
        self.enterContext(mock.patch.object(program, "_path", lambda: self.file))
        impatient = functools.partial(trial.Trial, pause=lambda _: None)
        self.enterContext(mock.patch.object(program, "Trial", impatient))
        for command in ("deploy", "update", "delete"):
            replacement = getattr(self.world, command)
            self.enterContext(mock.patch.object(getattr(trial, command), "run", replacement))

    def run_program(self, **environment):
        """Runs the program. Returns the exit code, and checks that neither its output nor its report has a secret."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "AWS_ENDPOINT_URL": self.world.url,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "canary-of-a-secret-access-key",
            "AWS_SESSION_TOKEN": "canary-of-a-session-token",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "COILED_TOKEN": local.TOKEN,
            "STACK": STACK,
            "SET_TEXT": f"Workspace={WORKSPACE} CoiledServer={self.world.url}",
            "YES": "1",
        } | environment
        out = io.StringIO()
        with (
            mock.patch.dict(os.environ, environment, clear=True),
            open(os.devnull, encoding="utf-8") as nothing,
            mock.patch("sys.stdin", nothing),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
        ):
            code = program.main()
        self.printed = out.getvalue()
        self.report = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
        self.assertNotIn("canary", self.printed + self.report)
        return code

    def expect(self, text):
        """The report contains a text."""
        self.assertIn(text, self.report)

    def expect_step(self, name, result, text=""):
        """The report contains the outcome of a step, whose text begins with these words."""
        self.assertRegex(self.report, rf"\n\| {name} \| {result} \| \d+ \| {re.escape(text)}")


class Success(Program):
    """Everything works."""

    def test_the_report_has_every_step_and_nothing_is_left(self):
        self.assertEqual(0, self.run_program(), self.printed)
        self.expect("**Result:** No step failed, and nothing is left.")
        self.expect("Nothing of the stack. What Coiled itself created remains")
        for step in ("fresh", "deploy", "connected", "detach", "rotate", "delete", "disconnected", "leftovers"):
            self.expect_step(step, "passed")
        self.assertEqual(set(), self.world.exists)
        self.assertNotIn("has not ended", self.report)

    def test_a_stand_in_has_no_clusters_and_the_report_says_so(self):
        self.run_program()
        for step in ("first cluster", "second cluster"):
            self.expect_step(step, "skipped", "The Coiled server is on this machine.")
        self.expect("| clusters | not started, because the Coiled server is on this machine |")

    def test_the_report_has_what_coiled_responds_in_each_state(self):
        self.run_program()
        states = self.report.partition("## What Coiled responds")[2].partition("## Errors")[0].split("\n### ")[1:]
        shown = {state.split("\n")[0]: '"provider_name": "aws"' in state for state in states}
        connected = {"connected", "connected, after the rotation"}
        expected = {state: state in connected for state in ("token", "fresh", *connected, "disconnected")}
        self.assertEqual(expected, shown)
        self.expect("`GET /api/v1/{workspace}/backend_options/`: 200")
        # Personal data, of which only the type is shown.
        self.expect('"username": "str"')
        self.assertNotIn("lovelace", self.report)

    def test_the_report_has_the_user_after_each_step(self):
        self.run_program()
        both, ongoing = ", ".join(sorted(POLICIES)), POLICIES[1]
        self.expect(f"| deploy | {both} | AKIA…0001 |\n| detach | {ongoing} | AKIA…0001 |\n")
        self.expect(f"| rotate | {ongoing} | AKIA…0002 |")

    def test_the_report_has_the_errors_of_aws_the_function_and_the_stack(self):
        self.run_program()
        self.expect("| before | IAM: GetUser | 400 NoSuchEntity |")
        self.expect("| leftovers | Lambda: GetFunctionConfiguration | 400 ResourceNotFoundException | absent |")
        self.expect('{"level": "WARN", "message": "retried", "error": "AccessDenied for ***"}')
        self.assertNotIn("not in the report", self.report)
        self.expect("| 00:00:00 | Connection | CREATE_FAILED | step register \\| *** |")

    def test_only_the_owner_can_read_the_report(self):
        self.run_program()
        self.assertEqual(0o600, self.file.stat().st_mode & 0o777)


class Failure(Program):
    """Something fails, and the stack is deleted nevertheless."""

    def test_a_failure_of_any_step_still_deletes_and_reports(self):
        failures = itertools.cycle([Problem("what happened"), DENIED, KeyError("a defect"), KeyboardInterrupt()])
        for step, failure in zip((*USES, "connected", "detach"), failures):
            with self.subTest(step, failure=failure), mock.patch.object(trial.Trial, step, side_effect=failure):
                self.assertEqual(1, self.run_program())
                self.expect_step(NAMES.get(step, step), "FAILED")
                self.expect("and nothing is left.")
                self.assertEqual(set(), self.world.exists)

    def test_a_failure_at_the_end_does_not_prevent_the_other_steps(self):
        for step in ("delete", "delete_again", "disconnected", "look_for_leftovers"):
            with self.subTest(step), mock.patch.object(trial.Trial, step, side_effect=KeyboardInterrupt()):
                self.assertEqual(1, self.run_program())
                self.expect_step(NAMES.get(step, step), "FAILED", "interrupted")
                # If the first deletion fails, delete_again calls the same method, which fails again.
                left = set(EVERYTHING) if step == "delete" else set()
                self.assertEqual(left, self.world.exists)
                self.world.exists.clear()

    def test_a_command_that_fails_halfway_leaves_nothing(self):
        for command in ("deploy", "detach", "rotate"):
            with self.subTest(command):
                self.world.failing = [command]
                self.assertEqual(1, self.run_program())
                self.expect_step(command, "FAILED", f"the command for {command} failed because of ***")
                self.expect(f"**Result:** These steps failed: {command}, and nothing is left.")
                self.assertEqual(set(), self.world.exists)

    def test_after_a_failed_deployment_the_stack_is_not_used(self):
        self.world.failing = ["deploy"]
        self.run_program()
        self.assertNotIn("| detach |", self.report)
        self.expect_step("disconnected", "passed")

    def test_after_an_interruption_the_stack_is_not_used(self):
        with mock.patch.object(trial.Trial, "connected", side_effect=KeyboardInterrupt()):
            self.run_program()
        self.assertNotIn("| detach |", self.report)
        self.expect_step("disconnected", "passed")

    def test_after_another_failure_the_stack_is_still_used(self):
        with mock.patch.object(trial.Trial, "cluster", side_effect=Problem("VcpuLimitExceeded")):
            self.run_program()
        self.expect_step("rotate", "passed")

    def test_a_deployment_that_does_not_connect_the_workspace_is_a_failure(self):
        def without_connection(run):
            self.world.deploy(run)
            self.world.exists.remove("connection")

        with mock.patch.object(trial.deploy, "run", without_connection):
            self.assertEqual(1, self.run_program())
        self.expect_step("connected", "FAILED", "Coiled still shows no connection of the workspace.")

    def test_an_update_without_effect_is_a_failure(self):
        self.world.is_stale = True
        self.assertEqual(1, self.run_program())
        for step in ("detach", "rotate"):
            self.expect_step(step, "FAILED", "The IAM user does not have the expected policies")

    def test_code_without_a_stack_is_deleted(self):
        def upload_only(_):
            self.world.exists = {"code"}
            raise Problem("the change set was rejected")

        with mock.patch.object(trial.deploy, "run", upload_only):
            self.assertEqual(1, self.run_program())
        self.assertEqual(set(), self.world.exists)
        self.expect_step("delete", "skipped", "There was no stack.")

    def test_after_an_interruption_the_deletion_waits_for_cloudformation(self):
        def interrupted(run):
            self.world.deploy(run)
            self.world.status = "CREATE_IN_PROGRESS"
            raise KeyboardInterrupt

        with mock.patch.object(trial.deploy, "run", interrupted):
            self.assertEqual(1, self.run_program())
        self.expect_step("deploy", "FAILED", "interrupted")
        self.expect_step("delete", "passed")
        self.assertEqual(set(), self.world.exists)

    def test_what_only_the_report_needs_does_not_prevent_the_deletion(self):
        self.world.denied = {"FilterLogEvents", "ListStackResources"}
        self.assertEqual(1, self.run_program())
        self.expect_step("delete", "passed")
        self.expect("- The function, its role, its log group or the secret may exist: could not list them")
        self.world.denied = {"FilterLogEvents"}
        self.assertEqual(0, self.run_program())
        self.expect("could not be read: You are not allowed to call FilterLogEvents")

    def test_code_that_make_delete_leaves_in_the_bucket_is_deleted(self):
        self.world.kept = {"code"}
        self.assertEqual(0, self.run_program(), self.printed)
        self.assertEqual(set(), self.world.exists)

    def test_a_deletion_that_fails_is_repeated_once(self):
        self.world.failing = ["delete"]
        self.assertEqual(1, self.run_program())
        self.expect_step("delete", "FAILED")
        self.expect_step("delete again", "passed")
        self.expect("failed: delete, and nothing is left.")


class Left(Program):
    """Something remains."""

    def test_each_leftover_is_found_and_named(self):
        # make acceptance itself deletes the code.
        for name in EVERYTHING.keys() - {"code"}:
            with self.subTest(name):
                self.world.kept = {name}
                self.assertEqual(1, self.run_program())
                section = self.report.partition("## What is left")[2].partition("\n## ")[0]
                for text in EVERYTHING[name]:
                    self.assertIn(f"- {text}", section)
                self.assertEqual(len(EVERYTHING[name]), section.count("\n- "), section)
                self.expect(f"and {len(EVERYTHING[name])} things are left.")
                self.world.exists.clear()

    def test_everything_is_named_if_the_stack_cannot_be_deleted(self):
        self.world.failing = ["delete", "delete"]
        self.assertEqual(1, self.run_program())
        for name in EVERYTHING.keys() - {"code"}:
            for text in EVERYTHING[name]:
                self.expect(f"- {text}")
        self.expect(f"make delete STACK={STACK} REGION=us-east-1")

    def test_what_nobody_could_check_counts_as_left(self):
        def deny(run):
            World.delete(self.world, run)
            self.world.denied = {"DescribeSecret", f"/api/v1/{WORKSPACE}/backend_options/"}

        with mock.patch.object(trial.delete, "run", deny):
            self.assertEqual(1, self.run_program())
        self.expect(f"- {EVERYTHING['secret'][0]} may exist: could not look")
        self.expect(f"- Coiled's connection of the workspace {WORKSPACE} may exist: could not look")

    def test_a_killed_program_leaves_a_report_that_says_so(self):
        seen = []
        with mock.patch.object(trial.Trial, "detach", side_effect=lambda: seen.append(self.file.read_text("utf-8"))):
            self.run_program()
        self.assertIn("**The test has not ended, or it was killed.**", seen[0])
        self.assertIn("| deploy | passed |", seen[0])
        self.assertIn("nobody has looked yet at what is left", seen[0])


class Beforehand(Program):
    """The test does not begin."""

    def expect_nothing(self, code, text, **environment):
        """The program ends with this exit code and text, and no command has run."""
        exists = set(self.world.exists)
        self.assertEqual(code, self.run_program(**environment), self.printed)
        self.assertIn(text, self.printed)
        self.assertIn("The test has not begun. Nothing was built or changed.", self.printed)
        self.assertEqual((exists, ""), (self.world.exists, self.report))

    def test_consent_and_workspace_are_needed(self):
        self.expect_nothing(2, "YES=1", YES="")
        self.expect_nothing(2, "SET=Workspace=NAME", SET_TEXT=f"CoiledServer={self.world.url}")
        self.expect_nothing(2, "token is missing", COILED_TOKEN="")
        self.assertEqual([], self.world.requests)

    def test_parameters_that_would_change_what_is_not_the_tests_are_rejected(self):
        arn = f"arn:aws:secretsmanager:us-east-1:{local.ACCOUNT}:secret:a-AbCdEf"
        for setting in ("AdoptExisting=true", "ForceDisconnect=true", "RotateKey=a", f"CoiledTokenSecretArn={arn}"):
            name = setting.partition("=")[0]
            self.expect_nothing(2, f"{name} ", SET_TEXT=f"Workspace={WORKSPACE} {setting}")
        self.assertEqual([], self.world.requests)

    def test_a_name_that_is_in_use_is_never_touched(self):
        # The other resources have generated names, which the stack gives them.
        for name in ("stack", "user", "policies", "code", "connection"):
            with self.subTest(name):
                self.world.exists = {name}
                self.expect_nothing(1, EVERYTHING[name][0].replace("(account)", local.ACCOUNT))

    def test_what_cannot_be_checked_counts_as_in_use(self):
        self.world.denied = {"GetUser"}
        self.expect_nothing(1, f"The IAM user {STACK} may exist")

    def test_a_token_that_coiled_rejects(self):
        with mock.patch.object(World, "answer", lambda world, region, what: (
            (401, "{}") if what == "/api/v2/user/me" else local.Local.answer(world, region, what)
        )):
            self.expect_nothing(1, "rejected the token")


if __name__ == "__main__":
    unittest.main()
