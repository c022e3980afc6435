"""Reads the account in MiniStack through the AWS APIs."""

import json

import boto3
from botocore.config import Config

from .servers import CREDENTIALS, REGION

USER = "coiled"


class Account:
    """Reads an account, and returns plain values that can be compared."""

    def __init__(self, url, region=REGION):
        self._url = url
        self._region = region
        self.iam = self.client("iam")

    def client(self, service, region=None):
        """A boto3 client for MiniStack that ignores proxies and the caller's AWS settings."""
        return boto3.session.Session(
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=region or self._region,
        ).client(service, endpoint_url=self._url, config=Config(proxies={}, retries={"max_attempts": 1}))

    def user(self):
        """The user with its tags, attached policies and access keys; None if there is no such user."""
        try:
            user = self.iam.get_user(UserName=USER)["User"]
        except self.iam.exceptions.NoSuchEntityException:
            return None
        attached = self.iam.list_attached_user_policies(UserName=USER)["AttachedPolicies"]
        keys = self.iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]
        return {
            "arn": user["Arn"],
            "tags": {tag["Key"]: tag["Value"] for tag in self.iam.list_user_tags(UserName=USER)["Tags"]},
            "attached": sorted(policy["PolicyName"] for policy in attached),
            "keys": {key["AccessKeyId"]: key["Status"] for key in keys},
        }

    def policies(self):
        """The default version's document of each customer managed policy, by the policy's name."""
        found = self.iam.list_policies(Scope="Local")["Policies"]
        return {policy["PolicyName"]: self._document(policy) for policy in found}

    def _document(self, policy):
        response = self.iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
        document = response["PolicyVersion"]["Document"]
        return json.loads(document) if isinstance(document, str) else document

    def everything(self):
        """All resources of the types that the stack can create, whether or not the stack created them."""
        lists = {
            "roles": ("iam", "list_roles", "Roles", "RoleName"),
            "functions": ("lambda", "list_functions", "Functions", "FunctionName"),
            "secrets": ("secretsmanager", "list_secrets", "SecretList", "ARN"),
            "log groups": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
        }
        found = {
            name: sorted(item[key] for item in getattr(self.client(service), call)()[field])
            for name, (service, call, field, key) in lists.items()
        }
        return found | {"users": self.user(), "policies": self.policies()}
