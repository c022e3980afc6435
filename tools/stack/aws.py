"""The AWS account: credentials, identity and region, checked before anything is built or changed."""

import difflib
import re
from functools import cache

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from . import failures, genuine
from .problem import Misuse, Problem

# Standard retries wait longer after each throttled call.
_CONFIG = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 8})
# For the first request, and for requests to many regions. Nobody should wait long to learn that there is no network.
_QUICK = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
# Regions that no account can disable. A call there tells wrong credentials from a region that is not enabled.
_ALWAYS_ENABLED = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
_REGION = re.compile(r"[a-z]{2,10}(-[a-z]{2,10}){1,3}-\d{1,2}")


class Aws:
    """A session with the caller's own credentials and, once it is known, the stack's region."""

    def __init__(self, environment):
        # To botocore, an empty AWS_PROFILE is a profile without a name.
        if environment.get("AWS_PROFILE") == "":
            del environment["AWS_PROFILE"]
        self._session = boto3.session.Session()
        self._session.events.register("before-parse", genuine.check)
        # The AWS CLI also reads AWS_REGION, but boto3 does not.
        self.default_region = environment.get("AWS_REGION") or self._session.region_name or ""
        self.region = ""
        self.account = ""

    def client(self, service, region=None, quick=False):
        """A client for a service, by default in the stack's region. Creating one takes longer than most requests."""
        return self._client(service, region or self.region, _QUICK if quick else _CONFIG)

    @cache
    def _client(self, service, region, config):
        return self._session.client(service, region_name=region, config=config)

    def observe(self, on_response, on_no_response):
        """Calls a function for each response, and another if there was none, for all clients created from now on."""
        self._session.events.register("after-call", on_response)
        self._session.events.register("after-call-error", on_no_response)

    def partition(self):
        """The stack's partition, such as aws or aws-cn."""
        return self._session.get_partition_for_region(self.region)

    def anonymous(self, service, region):
        """A client without credentials, which sees what everyone sees."""
        config = _CONFIG.merge(Config(signature_version=UNSIGNED))
        return self._session.client(service, region_name=region, config=config)

    def sign_in(self, region=""):
        """Checks the credentials and, if a region is given, that they can be used there."""
        if self._session.get_credentials() is None:
            raise failures.no_credentials()
        asked = region or self.default_region or _ALWAYS_ENABLED["aws"]
        self.check_name(asked)
        try:
            self.account = self._identity(asked)["Account"]
        except ClientError as error:
            if failures.code(error) not in failures.UNKNOWN_CREDENTIALS or not self._known_elsewhere(asked):
                raise
            raise Problem(
                f"The region {asked} is not enabled in this account.",
                f"Choose another region, or enable this one, which takes a few minutes:\n"
                f"  aws account enable-region --region-name {asked}",
            ) from None
        self.region = region

    def check_name(self, region):
        """Rejects a region that does not exist."""
        known = self._regions()
        if region in known:
            return
        near = difflib.get_close_matches(region, known, 3)
        hint = f"Did you mean {' or '.join(near)}?" if near else "An example of a region is us-east-2."
        raise Misuse(f"AWS has no region {region!r}.", hint)

    def alias(self):
        """The account's alias; empty if it has none or the caller is not allowed to read it."""
        try:
            return next(iter(self.client("iam").list_account_aliases()["AccountAliases"]), "")
        except ClientError as error:
            if failures.code(error) in failures.DENIED:
                return ""
            raise

    def partition_regions(self):
        """All regions of the stack's partition, enabled or not."""
        return self._session.get_available_regions("cloudformation", self.partition())

    def credentials(self):
        """The credentials as environment variables, for a child process.

        A child that loaded the profile itself might have to ask for the code of an MFA device again.
        """
        frozen = self._session.get_credentials().get_frozen_credentials()
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        values = (frozen.access_key, frozen.secret_key, frozen.token)
        return {name: value for name, value in zip(names, values) if value}

    def authority(self):
        """The certificate file that the profile names; empty if it names none."""
        return self._session._session.get_config_variable("ca_bundle") or ""

    @cache
    def _regions(self):
        partitions = self._session.get_available_partitions()
        return [r for name in partitions for r in self._session.get_available_regions("cloudformation", name)]

    def _identity(self, region):
        return self.client("sts", region, quick=True).get_caller_identity()

    def _known_elsewhere(self, region):
        home = _ALWAYS_ENABLED.get(self._session.get_partition_for_region(region))
        if home in (None, region):
            return False
        try:
            return bool(self._identity(home))
        except ClientError:
            return False
