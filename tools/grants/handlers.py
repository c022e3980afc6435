"""Compares a principal's permissions with those that CloudFormation needs, according to AWS's resource schemas.

The schemas are the ones that cfn-lint contains. They list the permissions of each handler, without saying which
property needs which. `Metadata.NotGranted` of the resource that has the policy lists the permissions that are left out,
either under the property that needs them, such as `Function.VpcConfig`, or under another reason.
"""

import re
from fnmatch import fnmatchcase

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from .arn import matches
from .check import as_list

# CloudFormation does not list resources when it deploys a stack.
DEPLOYMENT = ("create", "read", "update", "delete")


def needed(types, handlers=DEPLOYMENT):
    """The permissions that the schemas of some resource types name, in lower case."""
    names = set()
    for kind in types:
        # A custom resource has no schema. CloudFormation invokes its function.
        names |= {"lambda:InvokeFunction"} if kind.startswith("Custom::") else _named(kind, handlers)
    return {name.lower() for name in names}


class Grants:
    """What the policies of one resource grant, and what they leave out."""

    def __init__(self, template, resource, reference):
        self._granted = {}
        self._reasons = template.resources[resource].get("Metadata", {}).get("NotGranted", {})
        for where, statement in template.statements():
            # A statement without resources belongs to the trust policy.
            if where.startswith(f"{resource}, ") and statement["Effect"] == "Allow" and "Resource" in statement:
                self._add(statement, reference)

    def _add(self, statement, reference):
        for pattern in as_list(statement["Action"]):
            for action in reference.actions(pattern):
                _, resources = self._granted.setdefault(action.name.lower(), (action, set()))
                resources.update(as_list(statement["Resource"]))

    def differences(self, needs):
        """Needed permissions that are missing, and entries of NotGranted that are not needed or are granted."""
        patterns = [p.lower() for actions in self._reasons.values() for p in actions]
        for name in sorted(needs - self._granted.keys()):
            if not any(fnmatchcase(name, p) for p in patterns):
                yield f"{name}: AWS's resource schemas name it, but it is neither granted nor in Metadata.NotGranted"
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in needs):
                yield f"{pattern}: it is in Metadata.NotGranted, but no handler needs it"
            if any(fnmatchcase(name, pattern) for name in self._granted):
                yield f"{pattern}: it is in Metadata.NotGranted, but it is granted"

    def set_properties(self, stack):
        """Properties that the stack sets, although their permissions are left out."""
        for reason, actions in self._reasons.items():
            if not re.fullmatch(r"\w+\.\w+", reason):
                continue
            name, _, setting = reason.partition(".")
            if name not in stack.resources:
                yield f"{reason}: it is in Metadata.NotGranted, but the stack has no resource {name}"
            elif setting in stack.resources[name]["Properties"]:
                yield f"{reason}: the stack sets it, but {', '.join(actions)} is in Metadata.NotGranted"

    def unreached(self, needs, arns):
        """Needed actions that are granted, but not on the stack's own resources."""
        for name in sorted(needs & self._granted.keys()):
            action, resources = self._granted[name]
            own = [arn for arn in arns if any(matches(arn, t.form) for t in action.resource_types)]
            for arn in own:
                if not any(resource == "*" or matches(arn, resource) for resource in resources):
                    yield f"{name}: it is not granted on {arn}"


def own_arns(stack, stack_name):
    """The ARNs of the stack's resources, with the names that CloudFormation generates."""
    here = "arn:aws-us-gov:{}:us-gov-west-1:111122223333"
    for name, resource in stack.resources.items():
        generated = f"{stack_name}-{name}-AbCdEfGhIjKl"
        path = resource.get("Properties", {}).get("Path", "/")
        arns = {
            "AWS::IAM::Role": f"arn:aws-us-gov:iam::111122223333:role{path}{generated}",
            "AWS::Logs::LogGroup": f"{here.format('logs')}:log-group:{generated}",
            # The name of a secret does not contain the stack's name.
            "AWS::SecretsManager::Secret": f"{here.format('secretsmanager')}:secret:{name}-AbCdEfGhIjKl-123456",
            "AWS::Lambda::Function": f"{here.format('lambda')}:function:{generated}",
            "AWS::Serverless::Function": f"{here.format('lambda')}:function:{generated}",
        }
        if resource["Type"] in arns:
            yield arns[resource["Type"]]
        elif resource["Type"] == "AWS::Lambda::Version":
            function = resource["Properties"]["FunctionName"]["Ref"]
            yield f"{here.format('lambda')}:function:{stack_name}-{function}-AbCdEfGhIjKl:1"


def _named(kind, handlers):
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    of_handlers = [schema["handlers"][h]["permissions"] for h in handlers if h in schema["handlers"]]
    # CloudFormation also applies the stack's tags to its resources.
    return set(schema.get("tagging", {}).get("permissions", [])).union(*of_handlers)
