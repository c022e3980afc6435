"""The stack, deployed as a user deploys it, and what CloudFormation says of it."""

import subprocess
import time
from pathlib import Path

SAM = Path(".tools/sam/bin/sam")
NAME = "coiled"


class Stack:
    """One stack."""

    def __init__(self, cloudformation, environment, template):
        self._cloudformation = cloudformation
        self._environment = environment
        self._template = template
        self.printed = []

    def deploy(self, **parameters):
        """The real `sam deploy`; whether it says that it worked."""
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
        """As `aws cloudformation delete-stack`; `sam delete` is the same with half a minute of polling."""
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
        """What DescribeStacks says."""
        return self._cloudformation.describe_stacks(StackName=NAME)["Stacks"][0]

    def status(self):
        """Its status."""
        return self.describe()["StackStatus"]

    def outputs(self):
        """Its outputs, by name."""
        return {output["OutputKey"]: output["OutputValue"] for output in self.describe().get("Outputs", [])}

    def reason(self):
        """Why the connection failed the last time, as the console shows it; empty if it never did."""
        events = self._cloudformation.describe_stack_events(StackName=NAME)["StackEvents"]
        failed = [e for e in events if e["LogicalResourceId"] == "Connection" and "FAILED" in e["ResourceStatus"]]
        return max(failed, key=lambda e: e["Timestamp"], default={}).get("ResourceStatusReason", "")

    def _status_of(self, stack_id):
        try:
            return self._cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]
        except self._cloudformation.exceptions.ClientError as error:
            # A name or an id that nothing has any more.
            return "DELETE_COMPLETE" if "does not exist" in str(error) else str(error)
