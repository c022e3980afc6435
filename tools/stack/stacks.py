"""Finds a stack, if necessary in other regions."""

from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError

from . import failures, states, template
from .problem import Problem


def find(cloudformation, name):
    """A stack as DescribeStacks shows it; None if there is none of that name or ID."""
    try:
        return cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if is_missing(error):
            return None
        raise


def is_missing(error):
    """Whether the error means that the stack does not exist. CloudFormation has no error code for this case."""
    return failures.code(error) == "ValidationError" and "does not exist" in failures.text(error)


def need_ours(cloudformation, stack):
    """Returns the stack's template, and rejects a stack that some other template created."""
    if states.is_empty(stack):
        return None
    body = cloudformation.get_template(StackName=stack["StackId"])["TemplateBody"]
    if not template.is_ours(body):
        raise Problem(
            f"The stack {stack['StackName']} is not a stack of this project: it has no resource {template.CONNECTION}.",
            "It is left alone. Name another stack: STACK=NAME",
        )
    return body


def need(aws, screen, options):
    """The stack in the chosen region. If it is missing, says where else a stack of that name is."""
    found = find(aws.client("cloudformation"), options.stack)
    if found is not None:
        return found
    with screen.waiting(f"There is no stack {options.stack} in {aws.region}. Looking in the other regions"):
        others, unknown = elsewhere(aws, options.stack)
    what = f"There is no stack {options.stack} in {aws.region} (account {aws.account})."
    if others:
        regions = "\n".join(f"  {options.make('status', region)}" for region in others)
        raise Problem(f"{what} There is one in {', '.join(others)}.", f"To work on that one, name its region:\n{regions}")
    raise Problem(
        f"{what} {_searched(len(aws.partition_regions()) - 1 - unknown, unknown)}",
        f"If it has another name, add STACK=NAME. If it is in another account, export AWS_PROFILE. To create it:\n"
        f"  {options.make('deploy', aws.region)}",
    )


def _searched(regions, unknown):
    """How sure it is that no other region has the stack either."""
    doubt = f"{unknown} {'region' if unknown == 1 else 'regions'} could not be searched, so name the region: REGION=NAME"
    none = "No other region that is enabled has one either."
    return none if not unknown else f"{none} But {doubt}" if regions else f"Any other region may have one: {doubt}"


def elsewhere(aws, name):
    """The other regions with a stack of this name, and how many regions could not be searched."""
    regions = [region for region in aws.partition_regions() if region != aws.region]
    clients = {region: aws.client("cloudformation", region, quick=True) for region in regions}
    with ThreadPoolExecutor(max_workers=12) as pool:
        results = dict(zip(regions, pool.map(lambda region: _look(clients[region], name), regions)))
    return [r for r, found in results.items() if found is True], sum(found is None for found in results.values())


def _look(cloudformation, name):
    """Whether a region has the stack; None if the region cannot be searched."""
    try:
        return find(cloudformation, name) is not None
    except ClientError as error:
        # A region that is not enabled does not know the caller's credentials. No stack can be there.
        return False if failures.code(error) in failures.UNKNOWN_CREDENTIALS else None
    except failures.ERRORS:
        return None
