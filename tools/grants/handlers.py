"""Compares what a principal is granted with what AWS's resource schemas say that CloudFormation needs.

The schemas are the ones that cfn-lint contains. They name the permissions of each handler for all properties of a
resource. A permission that only other properties need is listed, with the reason, in `Metadata` of the resource that
has the policy.
"""

from fnmatch import fnmatchcase

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

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


def problems(needs, granted, left_out, reference):
    """Differences between the needed permissions, the granted ones and those that are left out for a reason."""
    grants = {action.name.lower() for pattern in granted for action in reference.actions(pattern)}
    patterns = [p.lower() for p in left_out]
    for name in sorted(needs - grants):
        if not any(fnmatchcase(name, p) for p in patterns):
            yield f"{name}: AWS's resource schemas name it, but it is neither granted nor in Metadata.NotGranted"
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in needs):
            yield f"{pattern}: it is in Metadata.NotGranted, but no handler needs it"
        if any(fnmatchcase(name, pattern) for name in grants):
            yield f"{pattern}: it is in Metadata.NotGranted, but it is granted"


def granted_to(template, resource):
    """The actions that the policies of a resource allow, and those that are left out for a reason."""
    statements = [s for name, s in template.statements() if name.startswith(f"{resource}, ")]
    reasons = template.resources[resource].get("Metadata", {}).get("NotGranted", {})
    return [a for s in statements for a in as_list(s["Action"])], [a for actions in reasons.values() for a in actions]


def _named(kind, handlers):
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    of_handlers = [schema["handlers"][h]["permissions"] for h in handlers if h in schema["handlers"]]
    # A stack's tags are tags of its resources too.
    return set(schema.get("tagging", {}).get("permissions", [])).union(*of_handlers)
