"""Reads template.yaml, and the templates of stacks in the account."""

from pathlib import Path

from samcli.yamlhelper import yaml_parse

from .problem import Misuse, Problem
from .rules import broken as broken_rules

CONNECTION = "Custom::CoiledConnection"
FILE = Path("template.yaml")


def parameters():
    """The parameters of this release, by name."""
    return yaml_parse(FILE.read_text(encoding="utf-8"))["Parameters"]


def sources():
    """The folder with the function's sources."""
    return Path(yaml_parse(FILE.read_text(encoding="utf-8"))["Resources"]["Function"]["Properties"]["CodeUri"])


def check_rules(values):
    """Rejects values that break a rule of the template. CloudFormation would reject them only after the build."""
    rules = yaml_parse(FILE.read_text(encoding="utf-8")).get("Rules", {})
    broken = list(broken_rules(rules, values))
    if broken:
        raise Misuse("\n".join(broken))


def default(name):
    """The default of a parameter."""
    return str(parameters()[name]["Default"])


def parse(body):
    """Parses a template from CloudFormation, which returns YAML as text and JSON as a dictionary."""
    return yaml_parse(body) if isinstance(body, str) else body


def is_ours(body):
    """Whether a template creates the connection to Coiled."""
    resources = (parse(body) or {}).get("Resources") or {}
    return any(resource.get("Type") == CONNECTION for resource in resources.values())


def code(body):
    """The bucket and key of the function's code in a deployed template; None if the template names no such place.

    The published template names the place with intrinsic functions. That code does not belong to the stack.
    """
    resources = (parse(body) or {}).get("Resources") or {}
    properties = resources.get("Function", {}).get("Properties", {})
    # `sam package` writes CodeUri. A template in which the SAM transform is already expanded has Code.
    place = properties.get("CodeUri") or properties.get("Code")
    if isinstance(place, str) and place.startswith("s3://"):
        return tuple(place.removeprefix("s3://").split("/", 1))
    if isinstance(place, dict) and isinstance(place.get("S3Bucket"), str):
        return place["S3Bucket"], place["S3Key"]
    return None


def check_size(text):
    """Rejects a template that is larger than CloudFormation accepts in a request."""
    if len(text.encode()) > 51_200:
        raise Problem("The template is larger than CloudFormation accepts in a request (51,200 bytes).")
    return text
