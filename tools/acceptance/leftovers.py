"""Looks for everything that the test creates: before it, to be sure that the names are free, and at its end."""

import time
from dataclasses import dataclass

from botocore.exceptions import ClientError

from stack import bucket, failures, stacks
from stack.problem import Problem, shell

_MISSING = {"NoSuchEntity", "ResourceNotFoundException", "NoSuchBucket"}
# IAM and Coiled may show a resource for some seconds after its deletion.
_LOOKS, _PAUSE = 7, 5


@dataclass(frozen=True)
class Leftover:
    """Something that exists, or that may exist because nobody could look."""

    what: str
    # How to remove it, or why its existence is unknown.
    detail: str
    is_certain: bool = True

    def __str__(self):
        return f"{self.what} {'exists' if self.is_certain else 'may exist'}: {self.detail}"


class Leftovers:
    """Everything of one run, by name. A stack's resources have generated names, which `remember` collects."""

    def __init__(self, aws, coiled, names):
        self._aws = aws
        self._coiled = coiled
        self._names = names
        self._resources = {}
        self._unlisted = []

    def remember(self, cloudformation):
        """Collects the names of the stack's resources. After the deletion, CloudFormation may not list them."""
        pages = cloudformation.get_paginator("list_stack_resources")
        try:
            for page in pages.paginate(StackName=self._names.stack):
                for resource in page["StackResourceSummaries"]:
                    if resource["ResourceType"] in _OF_STACK and resource.get("PhysicalResourceId"):
                        self._resources[resource["PhysicalResourceId"]] = resource["ResourceType"]
        # Whatever it is, the stack is deleted nevertheless.
        except Exception as error:
            reason = f"could not list them: {failures.explain(error).what}"
            self._unlisted = [Leftover("The function, its role, its log group or the secret", reason, is_certain=False)]

    def named(self, kind):
        """The names of the collected resources of one type."""
        return [name for name, each in self._resources.items() if each == kind]

    def find(self):
        """Everything that exists now."""
        found = [each for look, arguments in self._looks() for each in _result(look, self._aws, arguments)]
        return found + self._unlisted

    def find_at_end(self, pause=time.sleep):
        """Everything that still exists after the last deletion has had some time to take effect."""
        for _ in range(_LOOKS - 1):
            found = self.find()
            if not found:
                return found
            pause(_PAUSE)
        return self.find()

    def _looks(self):
        """Each look with its arguments."""
        names, account = self._names, self._aws.account
        yield _stack, [names.stack]
        yield _user, [names.user]
        for policy in names.policies:
            yield _policy, [f"arn:{self._aws.partition()}:iam::{account}:policy{names.path}{policy}"]
        for name, kind in self._resources.items():
            yield _OF_STACK[kind], [name]
        yield _code, [names]
        yield _connection, [self._coiled, names.workspace]


def _result(look, aws, arguments):
    """The leftovers that a look found. If the look fails, its resource may exist."""
    try:
        return list(look(aws, *arguments))
    except ClientError as error:
        if failures.code(error) in _MISSING:
            return []
        reason = failures.explain(error).what
    except Problem as problem:
        reason = problem.what
    # For example a page of a proxy that the SDK cannot parse. Whatever it is, the resource may exist.
    except Exception as error:
        reason = failures.explain(error).what
    # The last argument names the resource.
    name = arguments[-1] if isinstance(arguments[-1], str) else "in the bucket"
    return [Leftover(f"{look.__doc__.rstrip('.')} {name}", f"could not look: {reason}", is_certain=False)]


def _stack(aws, name):
    """The stack."""
    if stacks.find(aws.client("cloudformation"), name):
        yield Leftover(f"The stack {name}", shell("make", "delete", f"STACK={name}", f"REGION={aws.region}"))


def _user(aws, name):
    """The IAM user."""
    iam = aws.client("iam")
    iam.get_user(UserName=name)
    keys = [key["AccessKeyId"] for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]]
    for key in keys:
        words = ("aws", "iam", "delete-access-key", "--user-name", name, "--access-key-id", key)
        yield Leftover(f"The access key {key}", shell(*words))
    yield Leftover(f"The IAM user {name}", shell("aws", "iam", "delete-user", "--user-name", name))


def _policy(aws, arn):
    """The IAM policy."""
    aws.client("iam").get_policy(PolicyArn=arn)
    yield Leftover(f"The IAM policy {arn}", shell("aws", "iam", "delete-policy", "--policy-arn", arn))


def _function(aws, name):
    """The function."""
    aws.client("lambda").get_function_configuration(FunctionName=name)
    yield Leftover(f"The function {name}", _in_region(aws, "lambda", "delete-function", "--function-name", name))


def _role(aws, name):
    """The role."""
    aws.client("iam").get_role(RoleName=name)
    yield Leftover(f"The role {name}", shell("aws", "iam", "delete-role", "--role-name", name))


def _log_group(aws, name):
    """The log group."""
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    if any(group["logGroupName"] == name for group in groups):
        yield Leftover(f"The log group {name}", _in_region(aws, "logs", "delete-log-group", "--log-group-name", name))


def _secret(aws, arn):
    """The secret."""
    if aws.client("secretsmanager").describe_secret(SecretId=arn).get("DeletedDate"):
        # Its content cannot be read any more, and it costs nothing.
        return
    words = ("secretsmanager", "delete-secret", "--force-delete-without-recovery", "--secret-id", arn)
    yield Leftover(f"The secret {arn}", _in_region(aws, *words))


def _code(aws, names):
    """The function's code."""
    place = names.bucket or bucket.of_sam(aws.client("cloudformation"))
    if place and any(True for _ in bucket.versions(aws, place, names.folder)):
        url = f"s3://{place}/{names.folder}"
        yield Leftover(f"The function's code in {url}", shell("aws", "s3", "rm", "--recursive", url))


def _connection(_, coiled, workspace):
    """Coiled's connection of the workspace."""
    region = coiled.connection(workspace)
    if region is not None:
        yield Leftover(
            f"Coiled's connection of the workspace {workspace} ({region})",
            "disconnect it on the workspace's page of cloud settings",
        )


def _in_region(aws, *words):
    return shell("aws", *words, "--region", aws.region)


_OF_STACK = {
    "AWS::IAM::Role": _role,
    "AWS::Lambda::Function": _function,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::SecretsManager::Secret": _secret,
}
