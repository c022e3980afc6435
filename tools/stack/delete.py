"""`make delete`: deletes the stack, and says what remains."""

from . import bucket, events, outcome, parameters, questions, stacks, states, template
from .problem import Problem

_REMAINS = (
    "what Coiled created: a VPC with its subnets, gateway and security groups (free), the role and instance\n"
    "profile of its machines, images in ECR, buckets and log groups. They have the tag owner=coiled\n"
    "SAM's bucket, which other stacks of the account may use. This stack's code in it is deleted"
)


def run(run):
    """Shows what will be deleted, deletes it, and follows the deletion to its end."""
    questions.need_consent(run.options)
    run.sign_in()
    cloudformation = run.cloudformation()
    stack = stacks.need(run.aws, run.screen, run.options)
    body = stacks.need_ours(cloudformation, stack)
    states.before_delete(stack, run.make)
    _plan(run, cloudformation, stack)
    questions.consent(run.screen, run.options, "Delete this?")
    new_events = events.Events(cloudformation, stack["StackId"])
    run.in_aws("the deletion")
    # By its ID, because somebody may delete this stack and create another one of the same name at the same time.
    role = {"RoleARN": run.options.role_arn} if run.options.role_arn else {}
    cloudformation.delete_stack(StackName=stack["StackId"], **role)
    status = outcome.follow(run, new_events)
    if status != "DELETE_COMPLETE":
        _fail(run, new_events, status)
    run.situation = "The stack is deleted."
    left = bucket.remove_code(run.aws, run.options.stack, body)
    run.screen.title(f"\nThe stack {run.options.stack} is deleted")
    if left:
        run.screen.line(left)


def _plan(run, cloudformation, stack):
    """One screen: what will be deleted, and what remains."""
    row = run.screen.row
    run.screen.title(f"\nThe stack {run.options.stack} will be deleted")
    row("account", run.account_name())
    row("region", run.aws.region)
    row("status", stack["StackStatus"])
    current = parameters.of_stack(stack)
    existing = _resources(cloudformation, stack)
    for name, kind in existing.items():
        row("deletes", f"{name}, {kind}")
    if template.CONNECTION in existing.values():
        user = current["UserName"]
        row("", f"the IAM user {user} with its keys and everything that was added to it,")
        row("", f"the policies {user}-setup and {user}-ongoing, and the workspace's AWS settings at Coiled")
    row("remains", _REMAINS)
    if current.get(parameters.SECRET):
        row("", f"your secret {current[parameters.SECRET]}")
    row("note", "Stop clusters first. Afterwards Coiled cannot stop them.", "yellow")


def _resources(cloudformation, stack):
    """The types of the resources that exist, by logical ID."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack["StackId"])
    found = (resource for page in pages for resource in page["StackResourceSummaries"])
    return {r["LogicalResourceId"]: r["ResourceType"] for r in found if r["ResourceStatus"] != "DELETE_COMPLETE"}


def _fail(run, new_events, status):
    causes = [e for e in new_events.failures if e["ResourceType"] != "AWS::CloudFormation::Stack"]
    what = "\n".join(f"{e['LogicalResourceId']} failed: {outcome.reason(e)}" for e in causes) or "No event names a cause."
    run.situation = "Some resources were not deleted. The only possible operation on this stack is another deletion."
    raise Problem(
        f"CloudFormation ended in {status}.\n{what}",
        f"What each reason means, and how to force the deletion: docs/break-glass.md, section A stack in DELETE_FAILED.\n"
        f"Then delete it again:\n  {run.make('delete')}",
    )
