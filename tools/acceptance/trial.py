"""The steps of the test, from a workspace without a connection to one without a connection."""

import time
from dataclasses import replace

from stack import bucket, delete, deploy, events, failures, stacks, update
from stack.problem import Problem

from . import cluster, log, responses
from .steps import Skip, Step

# In seconds. IAM and Coiled may show an earlier state for some time.
_LOOKS, _PAUSE = 7, 5


class Trial:
    """One run of the test. Each step is a method, and `run` is what all commands of tools/stack share."""

    def __init__(self, run, prepared, report, pause=time.sleep):
        self._run = run
        self._prepared = prepared
        self._names = prepared.names
        self._report = report
        self._pause = pause

    def uses(self):
        """The steps that create and use the stack."""
        return [
            Step("fresh", "Record what Coiled responds about a workspace without a connection", self.fresh),
            Step("deploy", "Deploy the stack with make deploy", self.deploy, is_needed=True),
            Step("connected", "Record what Coiled responds about the connected workspace", self.connected),
            Step("first cluster", "Start a cluster of two t3.medium machines, and delete it", self.cluster),
            Step("detach", "Detach the setup policy with make update", self.detach),
            Step("rotate", "Replace the access key with make update", self.rotate),
            Step("second cluster", "Start a cluster again, with the new key and without the setup policy", self.cluster),
        ]

    def removes(self):
        """The steps that run at the end, whatever has happened before."""
        return [
            Step("delete", "Delete the stack with make delete", self.delete),
            Step("delete again", "Delete the stack again if it still exists", self.delete_again),
            Step("disconnected", "Record what Coiled responds about the disconnected workspace", self.disconnected),
            Step("leftovers", "Look for everything that the test has created", self.look_for_leftovers),
        ]

    def fresh(self):
        """Also records how Coiled describes the token's owner, which does not change later."""
        self._report.responses["token"] = responses.about_token(self._prepared.coiled)
        self._observe("fresh")

    def deploy(self):
        """Afterwards, the user must have both policies and one key."""
        self._command(deploy, self._prepared.settings)
        self._need_user("deploy", set(self._names.policies))

    def connected(self):
        """Coiled must show a connection."""
        self._observe("connected")
        self._need_connection(True)

    def cluster(self):
        """Whether Coiled can use the key."""
        if not self._prepared.has_clusters:
            raise Skip("The Coiled server is on this machine. It is a stand-in, so no cluster was started.")
        name = f"{self._names.stack}-{int(time.time())}"
        place = self._prepared.server, self._prepared.token, self._names.workspace
        return cluster.start(*place, name, self._report.scrub)

    def detach(self):
        """Afterwards, the user must have only the ongoing policy."""
        self._command(update, "AttachSetupPolicy=false")
        self._need_user("detach", {self._names.policies[1]})

    def rotate(self):
        """Afterwards, the user must have another key, and the earlier one must be deleted."""
        earlier = self._keys()
        self._command(update, "RotateKey=acceptance")
        self._need_user("rotate", self._attached(), forbidden=earlier)
        self._observe("connected, after the rotation")
        self._need_connection(True)

    def delete(self):
        """Deletes the stack, if the deployment has begun to create it, and the code in the bucket."""
        cloudformation = self._run.cloudformation()
        stack = stacks.find(cloudformation, self._names.stack)
        if stack is None:
            self._delete_code()
            raise Skip("There was no stack.")
        self._wait_until_idle(cloudformation, stack)
        self._prepared.leftovers.remember(cloudformation)
        self._read_log()
        self._command(delete)
        self._delete_code()

    def delete_again(self):
        """On AWS, a deletion that failed can be repeated."""
        if stacks.find(self._run.cloudformation(), self._names.stack) is None:
            raise Skip("The stack is deleted.")
        self.delete()

    def disconnected(self):
        """Coiled must show no connection."""
        self._observe("disconnected")
        self._need_connection(False)

    def look_for_leftovers(self):
        """Fails if something is left, or if nobody can know."""
        found = self._report.leftovers = self._prepared.leftovers.find_at_end(self._pause)
        if found:
            raise Problem("\n".join(map(str, found)), "Delete these by hand.")

    def _command(self, command, settings=""):
        self._run.options = replace(self._run.options, settings=settings)
        command.run(self._run)

    def _observe(self, state):
        self._report.responses[state] = responses.about_workspace(self._prepared.coiled, self._names.workspace)

    def _need_connection(self, is_expected):
        self._eventually(
            lambda: (self._prepared.coiled.connection(self._names.workspace) is not None) == is_expected,
            f"Coiled still shows {'no' if is_expected else 'a'} connection of the workspace.",
        )

    def _need_user(self, step, policies, forbidden=frozenset()):
        """Notes the user's policies and keys, which must be as expected: these policies, and one active key."""

        def is_as_expected():
            attached, keys = self._attached(), self._keys()
            self._report.users[step] = ", ".join(sorted(attached)), ", ".join(sorted(keys))
            return attached == policies and len(keys) == 1 and not keys & forbidden

        self._eventually(is_as_expected, "The IAM user does not have the expected policies and exactly one new key.")

    def _eventually(self, is_true, problem):
        for _ in range(_LOOKS - 1):
            if is_true():
                return
            self._pause(_PAUSE)
        if not is_true():
            raise Problem(problem)

    def _attached(self):
        pages = self._iam("list_attached_user_policies")
        return {policy["PolicyName"] for page in pages for policy in page["AttachedPolicies"]}

    def _keys(self):
        return {key["AccessKeyId"] for page in self._iam("list_access_keys") for key in page["AccessKeyMetadata"]}

    def _iam(self, call):
        return self._run.aws.client("iam").get_paginator(call).paginate(UserName=self._names.user)

    def _wait_until_idle(self, cloudformation, stack):
        """After an interruption, CloudFormation may still be working, and the function may still be running."""
        new_events = events.Events(cloudformation, stack["StackId"])
        # Only now, because CloudFormation may have ended before the events were read.
        stack = stacks.find(cloudformation, stack["StackId"])
        if stack["StackStatus"].endswith("_IN_PROGRESS") and stack["StackStatus"] != "REVIEW_IN_PROGRESS":
            with self._run.screen.following():
                new_events.follow(lambda _: None, self._pause)

    def _read_log(self):
        """Reads the function's log, which is deleted with the stack."""
        for group in self._prepared.leftovers.named("AWS::Logs::LogGroup"):
            try:
                self._report.log = list(log.problems(self._run.aws.client("logs"), group)) or ["none"]
            # Whatever it is, the stack is deleted nevertheless.
            except Exception as error:
                self._report.log = [f"could not be read: {failures.explain(error).what}"]

    def _delete_code(self):
        """Deletes this stack's code also from a person's own bucket: nothing else was in its folder before."""
        place = self._names.bucket or bucket.of_sam(self._run.cloudformation())
        if place:
            bucket.empty(self._run.aws, place, self._names.folder)
