"""Finds roles that Coiled's own policies apply to."""

import json
from pathlib import Path

from .arn import matches
from .check import as_list

ONGOING = Path(__file__).parents[2] / "policies" / "ongoing.json"


def problems(template):
    """Roles that Coiled could pass to its instances if the stack had an unfortunate name."""
    for name, resource in template.resources.items():
        path = resource.get("Properties", {}).get("Path", "/")
        if resource["Type"] == "AWS::IAM::Role" and any(matches(f"arn:aws:iam::*:role{path}*", r) for r in _coiled()):
            yield f"{name}: if its stack's name begins with coiled-, Coiled's ongoing policy grants iam:PassRole on it"


def _coiled():
    statements = json.loads(ONGOING.read_text())["Statement"]
    return [r for s in statements if "iam:PassRole" in as_list(s["Action"]) for r in as_list(s["Resource"])]
