"""For tests: an account and a workspace on 127.0.0.1, which the commands change without CloudFormation."""

import json

from stack import local
from stack.problem import Problem

WORKSPACE, STACK = "demo", "coiled-acceptance"
_GROUP, _FUNCTION, _ROLE = "coiled-logs", "coiled-function", "coiled-role"
_SECRET = f"arn:aws:secretsmanager:us-east-1:{local.ACCOUNT}:secret:token-AbCdEf"
_RESOURCES = {
    "FunctionRole": ("AWS::IAM::Role", _ROLE),
    "Function": ("AWS::Lambda::Function", _FUNCTION),
    "FunctionLogs": ("AWS::Logs::LogGroup", _GROUP),
    "TokenSecret": ("AWS::SecretsManager::Secret", _SECRET),
}
# A token and a key in the function's log must not reach the report.
LOG = [
    {"level": "INFO", "message": "not in the report"},
    {"level": "WARN", "message": "retried", "error": f"AccessDenied for {local.TOKEN}"},
]
POLICIES = f"{STACK}-setup", f"{STACK}-ongoing"
# What a test world can have, and how the report names it.
EVERYTHING = {
    "stack": [f"The stack {STACK}"],
    "user": [f"The IAM user {STACK}", "The access key AKIA"],
    "policies": [f"The IAM policy arn:aws:iam::(account):policy/{name}" for name in POLICIES],
    "function": [f"The function {_FUNCTION}"],
    "role": [f"The role {_ROLE}"],
    "log group": [f"The log group {_GROUP}"],
    "secret": ["The secret arn:aws:secretsmanager:us-east-1:(account):secret:token-AbCdEf"],
    "code": [f"The function's code in s3://bucket/{STACK}/code/"],
    "connection": [f"Coiled's connection of the workspace {WORKSPACE}"],
}


class World(local.Local):
    """An account, in which `exists` exists.

    `kept` is what a deletion does not delete, `failing` has the commands that fail, and `denied` the calls that AWS or
    Coiled denies.
    """

    def __init__(self):
        super().__init__()
        self.exists = set()
        self.kept = set()
        self.failing = []
        self.denied = set()
        self.is_stale = False
        self.status = "CREATE_COMPLETE"
        self._policies = []
        self._number = 0
        self._is_second_look = False

    def deploy(self, _):
        """What `make deploy` does. If it fails, everything that it has created is still there."""
        self.exists = set(EVERYTHING)
        self._policies = list(POLICIES)
        self._number = 1
        self._fail_if_asked("deploy")

    def update(self, run):
        """What `make update` does with the settings of the test."""
        is_rotation = run.options.settings.startswith("RotateKey=")
        self._fail_if_asked("rotate" if is_rotation else "detach")
        if not self.is_stale:
            self._number += is_rotation
            self._policies = [POLICIES[1]]

    def delete(self, _):
        """What `make delete` does."""
        if self.status.endswith("_IN_PROGRESS"):
            raise Problem("CloudFormation is working on the stack.")
        self._fail_if_asked("delete")
        self.exists &= self.kept

    def answer(self, region, what):
        """The answer for the present state."""
        what = what.partition("?")[0]
        if what in self.denied:
            return 403, '{"__type": "AccessDeniedException", "message": "denied"}'
        if what.startswith("DELETE /bucket/"):
            self.exists.discard("code")
            return 204, ""
        known = self._answers().get(what)
        return known() if known else super().answer(region, what)

    def _fail_if_asked(self, command):
        if command in self.failing:
            self.failing.remove(command)
            raise Problem(f"the command for {command} failed because of {local.TOKEN}")

    def _answers(self):
        return {
            "DescribeStacks": self._if("stack", local.stack(self.status), _missing("ValidationError")),
            "DescribeStackResource": self._if("code", _BUCKET, _missing("ValidationError")),
            "DescribeStackEvents": self._events,
            "ListStackResources": lambda: local.ok("ListStackResources", _list("StackResourceSummaries", _LISTED)),
            "GetUser": self._if("user", local.ok("GetUser", _USER), _missing("NoSuchEntity")),
            "ListAccessKeys": self._keys,
            "ListAttachedUserPolicies": self._attached,
            "GetPolicy": self._if("policies", local.ok("GetPolicy", ""), _missing("NoSuchEntity")),
            "GetRole": self._if("role", local.ok("GetRole", ""), _missing("NoSuchEntity")),
            f"/2015-03-31/functions/{_FUNCTION}/configuration": self._if("function", (200, "{}"), _ABSENT),
            "DescribeLogGroups": self._if("log group", _GROUPS, (200, '{"logGroups": []}')),
            "FilterLogEvents": lambda: _json({"events": [{"message": json.dumps(each)} for each in LOG]}),
            "DescribeSecret": self._if("secret", (200, "{}"), _ABSENT),
            "/bucket": self._if("code", _VERSIONS, (200, "<ListVersionsResult/>")),
            f"/api/v1/{WORKSPACE}/backend_options/": self._if("connection", _json(_CONNECTED), _json(_HOSTED)),
            "/api/v2/user/me": lambda: _json({"username": "ada-lovelace", "default_account": None}),
            "/api/v2/user/me/memberships": lambda: _json([{"account": {"slug": WORKSPACE, "id": 7}, "is_admin": True}]),
        }

    def _if(self, name, present, absent):
        return lambda: present if name in self.exists else absent

    def _keys(self):
        key = f"<AccessKeyId>AKIAEXAMPLEKEY{self._number:06}</AccessKeyId><Status>Active</Status>"
        return local.ok("ListAccessKeys", _list("AccessKeyMetadata", [key]))

    def _events(self):
        """The events, of which the second response has one more: that CloudFormation has finished."""
        events = [_CREATED, _EVENT] if self._is_second_look else [_EVENT]
        if self._is_second_look:
            self.status = "CREATE_COMPLETE"
        self._is_second_look = True
        return local.ok("DescribeStackEvents", _list("StackEvents", events))

    def _attached(self):
        names = [f"<PolicyName>{name}</PolicyName>" for name in self._policies]
        return local.ok("ListAttachedUserPolicies", _list("AttachedPolicies", names))


def _missing(code):
    return local.error(code, f"The resource with id {STACK} does not exist")


def _json(value):
    return 200, json.dumps(value)


def _list(name, members):
    return f"<{name}>{''.join(f'<member>{each}</member>' for each in members)}</{name}>"


_ABSENT = 400, '{"__type": "ResourceNotFoundException", "message": "absent"}'
_CONNECTED = {"backend": "vm", "options": {"provider_name": "aws", "aws_region_name": "us-east-2"}}
_HOSTED = {"backend": "vm_aws"}
_GROUPS = _json({"logGroups": [{"logGroupName": _GROUP}]})
_USER = f"<User><UserName>{STACK}</UserName></User>"
_BUCKET = local.ok(
    "DescribeStackResource",
    "<StackResourceDetail><PhysicalResourceId>bucket</PhysicalResourceId></StackResourceDetail>",
)
_VERSIONS = 200, (
    f"<ListVersionsResult><Version><Key>{STACK}/code/1</Key><VersionId>1</VersionId></Version></ListVersionsResult>"
)
_LISTED = [
    f"<LogicalResourceId>{logical}</LogicalResourceId><PhysicalResourceId>{physical}</PhysicalResourceId>"
    f"<ResourceType>{kind}</ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus>"
    for logical, (kind, physical) in _RESOURCES.items()
]
_EVENT = (
    "<EventId>1</EventId><LogicalResourceId>Connection</LogicalResourceId><ResourceType>Custom::A</ResourceType>"
    "<ResourceStatus>CREATE_FAILED</ResourceStatus><Timestamp>2026-01-01T00:00:00Z</Timestamp>"
    f"<ResourceStatusReason>step register | {local.TOKEN}</ResourceStatusReason>"
)
_CREATED = (
    "<EventId>2</EventId><LogicalResourceId>coiled</LogicalResourceId>"
    f"<PhysicalResourceId>arn:aws:cloudformation:us-east-1:{local.ACCOUNT}:stack/coiled/1</PhysicalResourceId>"
    "<ResourceType>AWS::CloudFormation::Stack</ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus>"
    "<Timestamp>2026-01-01T00:00:01Z</Timestamp>"
)
