"""Change sets: show what CloudFormation would change, and execute it."""

import time

from botocore.exceptions import ClientError

from . import stacks, states
from .problem import Problem

_NOTHING = ("didn't contain changes", "no updates are to be performed")


class ChangeSet:
    """A change set. On exit, it is deleted unless it was executed."""

    def __init__(self, cloudformation, request):
        self._cloudformation = cloudformation
        response = cloudformation.create_change_set(ChangeSetName=f"make-{int(time.time())}", **request)
        self.stack_id = response["StackId"]
        # Without StackName, IAM would authorize calls against the change set's ARN, which deployer.yaml does not name.
        self._names = {"ChangeSetName": response["Id"], "StackName": self.stack_id}
        self._is_new_stack = request["ChangeSetType"] == "CREATE"
        self._executed = False
        self.resources = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self._executed:
            self._discard()

    def wait(self, pause=time.sleep):
        """Waits until CloudFormation has computed the changes. Returns whether there are any."""
        seconds = 0.5
        while True:
            pages = self._cloudformation.get_paginator("describe_change_set").paginate(**self._names)
            found = list(pages)
            status, reason = found[0]["Status"], found[0].get("StatusReason", "")
            if status == "CREATE_COMPLETE":
                changes = [change for page in found for change in page.get("Changes", [])]
                self.resources = [change["ResourceChange"] for change in changes if "ResourceChange" in change]
                return True
            if status == "FAILED":
                if any(text in reason.lower() for text in _NOTHING):
                    return False
                raise Problem(f"CloudFormation rejected the change set: {reason}")
            pause(seconds)
            seconds = min(seconds * 2, 5)

    def execute(self):
        """Lets CloudFormation make the changes."""
        # If the response is lost, the change set may have been executed. Then it must not be discarded.
        self._executed = True
        try:
            self._cloudformation.execute_change_set(**self._names)
        except ClientError:
            self._executed = False
            raise

    def _discard(self):
        """Deletes the change set and, if it would have created the stack, the empty stack."""
        try:
            self._cloudformation.delete_change_set(**self._names)
            stack = stacks.find(self._cloudformation, self.stack_id)
            if self._is_new_stack and stack and states.is_empty(stack):
                self._cloudformation.delete_stack(StackName=self.stack_id)
        except ClientError:
            # The error that caused the discard matters more than this one. What remains has no resources.
            pass


def lines(resources):
    """Yields a line for each resource that changes."""
    for change in resources:
        again = {"True": ", replaced", "Conditional": ", perhaps replaced"}.get(change.get("Replacement"), "")
        causes = sorted({name for detail in change.get("Details", []) for name in _causes(detail)})
        because = f" ({', '.join(causes)})" if causes else ""
        yield f"{change['Action']} {change['LogicalResourceId']}, {change['ResourceType']}{again}{because}"


def _causes(detail):
    target = detail.get("Target", {})
    if target.get("Name"):
        yield target["Name"]
    elif target.get("Attribute"):
        yield target["Attribute"]
