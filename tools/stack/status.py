"""`make status`: the state of the stack, on one screen."""

import json
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from . import events, failures, outcome, parameters, stacks, states, template
from .coiled import is_loopback
from .problem import Problem
from .secret import Token

_DENIED = "you are not allowed to call {}"
_ABSENT = "there is no such user"


def run(run):
    """Shows the stack. It asks nothing and changes nothing."""
    run.sign_in()
    cloudformation = run.cloudformation()
    stack = stacks.need(run.aws, run.screen, run.options)
    body = stacks.need_ours(cloudformation, stack)
    row = run.screen.row
    run.screen.title(f"\nThe stack {run.options.stack}")
    row("account", run.account_name())
    row("region", run.aws.region)
    row("status", _status(stack))
    row("protection", "termination protection is " + ("on" if stack.get("EnableTerminationProtection") else "off"))
    if body is None:
        return
    current = parameters.of_stack(stack)
    iam = run.aws.client("iam")
    row("key", allowed(lambda: _keys(iam, current["UserName"])))
    row("attached", allowed(lambda: _attached(iam, current["UserName"])))
    row("last failure", _last_failure(cloudformation, stack))
    row("at Coiled", _at_coiled(run, cloudformation, stack, current))
    outcome.show_outputs(run, cloudformation)


def _status(stack):
    changed = stack.get("LastUpdatedTime") or stack["CreationTime"]
    because = f"\n{stack['StackStatusReason']}" if stack.get("StackStatusReason") else ""
    return f"{stack['StackStatus']} since {changed.astimezone():%Y-%m-%d %H:%M}{because}"


def allowed(read):
    """What `read` returns, or why it returned nothing."""
    try:
        return read()
    except ClientError as error:
        if failures.code(error) in failures.DENIED:
            return f"not shown: {_DENIED.format(error.operation_name)}"
        if failures.code(error) == "NoSuchEntity":
            return _ABSENT
        raise


def _keys(iam, user):
    pages = iam.get_paginator("list_access_keys").paginate(UserName=user)
    keys = [key for page in pages for key in page["AccessKeyMetadata"]]
    return "\n".join(_key(iam, key) for key in keys) or "the user has no access key"


def _key(iam, key):
    last_use = allowed(lambda: _last_use(iam, key["AccessKeyId"]))
    return f"{key['AccessKeyId']}, {key['Status']}, {_days(key['CreateDate'])} old, last use: {last_use}"


def _last_use(iam, key_id):
    used = iam.get_access_key_last_used(AccessKeyId=key_id)["AccessKeyLastUsed"]
    if not used.get("LastUsedDate"):
        return "never"
    return f"{_days(used['LastUsedDate'])} ago ({used['ServiceName']} in {used['Region']})"


def _days(since):
    days = (datetime.now(UTC) - since).days
    return "less than a day" if days < 1 else "1 day" if days == 1 else f"{days} days"


def _attached(iam, user):
    pages = iam.get_paginator("list_attached_user_policies").paginate(UserName=user)
    names = sorted(policy["PolicyName"] for page in pages for policy in page["AttachedPolicies"])
    setup = f"\n{user}-setup lets the key administer this account" if f"{user}-setup" in names else ""
    return (", ".join(names) or "no policy") + setup


def _last_failure(cloudformation, stack):
    found = events.last_failure(cloudformation, stack["StackId"], "Connection")
    return f"{found['Timestamp'].astimezone():%Y-%m-%d %H:%M}: {outcome.reason(found)}" if found else "none"


def _at_coiled(run, cloudformation, stack, current):
    """Whether Coiled shows the connection. The request needs the token in the secret."""
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    if "Workspace" not in outputs:
        return "not checked: the stack has no output Workspace"
    try:
        token = _token(run.aws, cloudformation, stack, current)
        region = run.coiled(current["CoiledServer"], token).connection(outputs["Workspace"])
    except Problem as problem:
        return f"not checked: {problem.what}"
    except ClientError as error:
        is_denied = failures.code(error) in failures.DENIED
        return f"not checked: {_DENIED.format(error.operation_name) if is_denied else failures.explain(error).what}"
    if region is None:
        return f"the workspace {outputs['Workspace']} is NOT connected to AWS"
    return f"the workspace {outputs['Workspace']} is connected to AWS, region {region}"


def _token(aws, cloudformation, stack, current):
    """The token, which status never asks for, from the stack's secret."""
    own = current.get(parameters.SECRET)
    if own and not _is_safe(current["CoiledServer"]):
        # A stack can name any secret and any server. Reading the secret here would use the permissions of the caller,
        # which may be wider than those of whoever deployed the stack.
        raise Problem(f"your own secret is sent to {current['CoiledServer']} only by the stack's function")
    arn = own or _secret_of_stack(cloudformation, stack)
    # Your own secret may be in another region.
    region = arn.split(":")[3] if own else aws.region
    secret = aws.client("secretsmanager", region).get_secret_value(SecretId=arn)
    return _of_secret(secret.get("SecretString", ""))


def _is_safe(server):
    return server == template.default("CoiledServer") or is_loopback(server)


def _secret_of_stack(cloudformation, stack):
    resource = cloudformation.describe_stack_resource(StackName=stack["StackId"], LogicalResourceId="TokenSecret")
    return resource["StackResourceDetail"]["PhysicalResourceId"]


def _of_secret(text):
    """The token in a secret: plain text, or JSON with a key `token`."""
    try:
        body = json.loads(text)
    except ValueError:
        return Token(text)
    return Token(str(body["token"]) if isinstance(body, dict) and "token" in body else text)
