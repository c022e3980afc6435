"""Deploys the stack as a user would, and reads its state from CloudFormation."""

import subprocess
import time
from pathlib import Path

SAM = Path(".tools/sam/bin/sam")
NAME = "coiled"


class Stack:
    """The stack `coiled`, with the output of each `sam deploy`."""

    def __init__(self, cloudformation, environment, template):
        self._cloudformation = cloudformation
        self._environment = environment
        self._template = template
        self.printed = []

    def deploy(self, **parameters):
        """Runs the real `sam deploy`, and returns whether it exited with 0."""
        argv = [SAM, "deploy", "--template-file", self._template, "--stack-name", NAME, "--resolve-s3"]
        argv += ["--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar"]
        argv += ["--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())]
        done = subprocess.run(
            [str(word) for word in argv],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        self.printed.append(done.stdout)
        return done.returncode == 0

    def delete(self):
        """Deletes the stack without `sam delete`, which polls for 30 s. Returns the last status."""
        stack_id = self.describe()["StackId"]
        self._cloudformation.delete_stack(StackName=NAME)
        until = time.monotonic() + 120
        while time.monotonic() < until:
            status = self._status_of(stack_id)
            if not status.endswith("IN_PROGRESS"):
                return status
            time.sleep(0.2)
        return "DELETE_IN_PROGRESS for two minutes"

    def describe(self):
        """The stack in the response to DescribeStacks."""
        return self._cloudformation.describe_stacks(StackName=NAME)["Stacks"][0]

    def status(self):
        """The stack's status, such as CREATE_COMPLETE."""
        return self.describe()["StackStatus"]

    def outputs(self):
        """The stack's outputs, by name."""
        return {output["OutputKey"]: output["OutputValue"] for output in self.describe().get("Outputs", [])}

    def status_reason(self):
        """The status reason of the connection's last failure, as the console shows it; empty if it never failed."""
        events = self._cloudformation.describe_stack_events(StackName=NAME)["StackEvents"]
        failed = [e for e in events if e["LogicalResourceId"] == "Connection" and "FAILED" in e["ResourceStatus"]]
        return max(failed, key=lambda e: e["Timestamp"], default={}).get("ResourceStatusReason", "")

    def _status_of(self, stack_id):
        try:
            return self._cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]
        except self._cloudformation.exceptions.ClientError as error:
            # CloudFormation reports a deleted stack as a stack that does not exist.
            return "DELETE_COMPLETE" if "does not exist" in str(error) else str(error)
