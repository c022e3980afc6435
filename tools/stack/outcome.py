"""Follows an operation of CloudFormation on the screen, and explains how it ended."""

from . import events, stacks
from .problem import Problem

_WIDTH = 22


def follow(run, new_events):
    """Prints one line for each event. Returns the status at the end."""
    with run.screen.following("CloudFormation is working. Ctrl-C stops this display, not CloudFormation"):
        return new_events.follow(lambda event: _show(run.screen, event))


def fail(run, new_events, status, state, fix):
    """Raises the problem that made an operation fail, with the reason in full."""
    cause = new_events.cause()
    what = f"{cause['LogicalResourceId']} failed: {reason(cause)}" if cause else "No event names the cause."
    run.situation = state
    raise Problem(f"CloudFormation ended in {status}. {what}", fix)


def show_outputs(run, cloudformation):
    """Prints the outputs, and at the end what to do next."""
    stack = stacks.find(cloudformation, run.options.stack)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    next_step = outputs.pop("NextStep", "")
    for name, value in sorted(outputs.items()):
        run.screen.row(name, value)
    if next_step:
        run.screen.line(f"\n{next_step}", "bold")


def reason(event):
    """The reason of an event."""
    return event.get("ResourceStatusReason") or "no reason given"


def _show(screen, event):
    status = event["ResourceStatus"]
    time = event["Timestamp"].astimezone().strftime("%H:%M:%S")
    style = "red" if events.is_failure(event) else "green" if status.endswith("_COMPLETE") else ""
    because = f"  {reason(event)}" if events.is_failure(event) else ""
    screen.line(f"  {time}  {event['LogicalResourceId']:<{_WIDTH}} {status}{because}", style)
