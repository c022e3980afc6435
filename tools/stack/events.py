"""Follows a stack's events until CloudFormation has finished."""

import time

from botocore.exceptions import ClientError, ConnectionError as SdkConnectionError, HTTPClientError

from . import failures, stacks

_FIRST_PAUSE, _LONGEST_PAUSE = 1, 20
_STACK = "AWS::CloudFormation::Stack"
# CloudFormation cancels the other resources when one fails. Their reasons explain nothing.
_CANCELLED = ("cancelled", "canceled")


class Events:
    """The events of one stack that are newer than this object."""

    def __init__(self, cloudformation, stack_id):
        self._cloudformation = cloudformation
        self._stack_id = stack_id
        self._seen = set()
        self.failures = []
        self._new()

    def follow(self, show, pause=time.sleep):
        """Shows each new event, until the stack's own event says that the operation has ended. Returns that status."""
        seconds = _FIRST_PAUSE
        while True:
            found = self._new_if_reachable()
            # Throttling and a lost connection say nothing about the stack, so this waits longer and asks again.
            seconds = min(seconds * 2, _LONGEST_PAUSE) if found is None else _FIRST_PAUSE
            for event in found or []:
                show(event)
                if is_failure(event):
                    self.failures.append(event)
                if self._is_end(event):
                    return event["ResourceStatus"]
            if found == [] and stacks.find(self._cloudformation, self._stack_id) is None:
                return "DELETE_COMPLETE"
            pause(seconds)

    def cause(self):
        """The event that made the operation fail: the first failure that is not a consequence of another one."""
        own = [event for event in self.failures if event["ResourceType"] != _STACK]
        return next((event for event in own if not _is_cancelled(event)), None)

    def _new_if_reachable(self):
        try:
            return self._new()
        except (SdkConnectionError, HTTPClientError):
            return None
        except ClientError as error:
            if failures.code(error) in failures.THROTTLED:
                return None
            if stacks.is_missing(error):
                return []
            raise

    def _new(self):
        """The events that were not returned before, oldest first."""
        found = []
        for page in self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=self._stack_id):
            new = [event for event in page["StackEvents"] if event["EventId"] not in self._seen]
            found += new
            # The newest events come first, so all older ones are known too.
            if len(new) < len(page["StackEvents"]):
                break
        self._seen.update(event["EventId"] for event in found)
        return found[::-1]

    def _is_end(self, event):
        is_stack = event["ResourceType"] == _STACK and event.get("PhysicalResourceId") == self._stack_id
        return is_stack and not event["ResourceStatus"].endswith("_IN_PROGRESS")


def is_failure(event):
    """Whether an event reports that something failed."""
    return event["ResourceStatus"].endswith("_FAILED")


def last_failure(cloudformation, stack_id, logical_id):
    """The latest failure of a resource; None if it never failed."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
    events = (event for page in pages for event in page["StackEvents"])
    return next((e for e in events if e["LogicalResourceId"] == logical_id and is_failure(e)), None)


def _is_cancelled(event):
    return any(word in event.get("ResourceStatusReason", "").lower() for word in _CANCELLED)
