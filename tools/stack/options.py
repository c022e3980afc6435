"""What the Makefile passes to a command in environment variables."""

import os
import re
from dataclasses import dataclass

from .problem import Misuse, shell
from .secret import Token

_STACK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")
_ROLE_ARN = re.compile(r"arn:[a-z-]+:iam::\d{12}:role/.+")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ANSWERS = {"1": True, "yes": True, "true": True, "y": True, "": False, "0": False, "no": False, "false": False}


@dataclass(frozen=True)
class Options:
    """The stack to work on, and how."""

    stack: str
    settings: str
    consent: bool
    region: str
    role_arn: str
    bucket: str
    token: Token | None

    @classmethod
    def read(cls, environment):
        """Reads the environment, and removes the token from it, so that no child process inherits it."""
        token = environment.pop("COILED_TOKEN", "").strip()
        settings = environment.pop("SET_TEXT", "")
        answer = environment.get("YES", "").strip().lower()
        if answer not in _ANSWERS:
            raise Misuse(f"YES={answer}: use YES=1 to consent without being asked.")
        return cls(
            stack=_checked("STACK", environment.get("STACK") or "coiled", _STACK_NAME, "a stack's name begins with a"
                           " letter, contains only letters, digits and -, and is at most 128 characters long"),
            settings=settings,
            consent=_ANSWERS[answer],
            region=environment.get("REGION", "").strip(),
            role_arn=_checked("ROLE_ARN", environment.get("ROLE_ARN", ""), _ROLE_ARN, "it must be the ARN of a role,"
                              " such as the output RoleArn of deployer.yaml"),
            bucket=_checked("BUCKET", environment.get("BUCKET", ""), _BUCKET, "it must be the name of an S3 bucket,"
                            " without s3://"),
            token=Token(token) if token else None,
        )

    def make(self, target, region, **more):
        """The command that runs another target on the same stack."""
        named = {"STACK": "" if self.stack == "coiled" else self.stack, "REGION": region} | more
        return shell("make", target, *(f"{name}={value}" for name, value in named.items() if value))


def _checked(name, value, pattern, rule):
    value = value.strip()
    if value and not pattern.fullmatch(value):
        raise Misuse(f"{name}={value}: {rule}.")
    return value


def authority(environment):
    """The file with the certificates of a company's own authority, for requests to Coiled; empty if none is set.

    botocore reads AWS_CA_BUNDLE and REQUESTS_CA_BUNDLE but not SSL_CERT_FILE, so that one is copied.
    """
    names = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "AWS_CA_BUNDLE")
    for name in names:
        path = environment.get(name)
        if path and not os.path.exists(path):
            raise Misuse(f"{name}={path}: this certificate file does not exist.", f"Correct or unset {name}.")
    found = next((environment[name] for name in names if environment.get(name)), "")
    if found:
        environment.setdefault("REQUESTS_CA_BUNDLE", found)
    return found
