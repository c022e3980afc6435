"""What the status of a stack means for each command."""

from .problem import Problem

_EMPTY = "REVIEW_IN_PROGRESS"
# A stack with one of these statuses can only be deleted.
_FAILED_CREATION = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}


def before_deploy(stack, make):
    """Rejects a deployment because a stack of this name exists."""
    status = stack["StackStatus"]
    _before_any_change(stack, make)
    if status in _FAILED_CREATION:
        raise Problem(
            f"The stack {stack['StackName']} is in {status}: an earlier deployment failed.",
            f"Delete what it left, then deploy again:\n  {make('delete')}",
        )
    raise Problem(
        f"The stack {stack['StackName']} already exists ({status}).",
        f"To deploy this release to it, or to change settings:\n  {make('update')}\n"
        f"For a second stack, choose another name: {make('deploy', STACK='NAME')}",
    )


def before_update(stack, make):
    """Rejects an update if the stack cannot be updated."""
    status = stack["StackStatus"]
    _before_any_change(stack, make)
    if status in _FAILED_CREATION:
        raise Problem(
            f"The stack {stack['StackName']} is in {status}: its deployment failed, so it cannot be updated.",
            f"Delete it, then deploy again:\n  {make('delete')}\n  {make('deploy')}",
        )
    if status == "UPDATE_ROLLBACK_FAILED":
        raise Problem(
            f"The stack {stack['StackName']} is in {status}: an update failed, and so did its rollback.",
            f"See why:\n  {make('status')}\n{continue_rollback(stack)}",
        )


def before_delete(stack, make):
    """Rejects a deletion if another operation is in progress, or if the stack is protected."""
    status = stack["StackStatus"]
    if status.endswith("_IN_PROGRESS") and status not in (_EMPTY, "DELETE_IN_PROGRESS"):
        raise _busy(stack, make)
    if stack.get("EnableTerminationProtection"):
        words = f"--stack-name {stack['StackName']} --region {region(stack)}"
        raise Problem(
            f"The stack {stack['StackName']} has termination protection, so CloudFormation would not delete it.",
            "If it should be deleted, remove the protection first:\n"
            f"  aws cloudformation update-termination-protection --no-enable-termination-protection {words}",
        )


def is_empty(stack):
    """Whether the stack has only a name: its change set was never executed, so it has no template either."""
    return stack["StackStatus"] == _EMPTY


def continue_rollback(stack):
    """What to do if a rollback failed."""
    words = f"--stack-name {stack['StackName']} --region {region(stack)}"
    return (
        "Correct the cause of the failure. Then continue the rollback:\n"
        f"  aws cloudformation continue-update-rollback {words}\n"
        "If it fails again: docs/break-glass.md, section Coiled does not respond."
    )


def region(stack):
    """The region in a stack's ARN."""
    return stack["StackId"].split(":")[3]


def _before_any_change(stack, make):
    status, name = stack["StackStatus"], stack["StackName"]
    if status == _EMPTY:
        raise Problem(
            f"The stack {name} is in {status}: a change set was created for it, but never executed. It has no resources.",
            f"If nobody is about to execute the change set, delete the empty stack:\n  {make('delete')}",
        )
    if status.endswith("_IN_PROGRESS"):
        raise _busy(stack, make)
    if status == "DELETE_FAILED":
        raise Problem(
            f"The stack {name} is in {status}: its deletion failed, so it can only be deleted.",
            f"See why, then delete it again:\n  {make('status')}\n  {make('delete')}\n"
            "What each reason means: docs/break-glass.md, section A stack in DELETE_FAILED.",
        )


def _busy(stack, make):
    return Problem(
        f"CloudFormation is working on the stack {stack['StackName']} ({stack['StackStatus']}).",
        f"Wait until it has finished. To see its status:\n  {make('status')}",
    )
