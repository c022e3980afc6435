"""The shipped template, with the one policy replaced that MiniStack can't judge."""

import difflib
from pathlib import Path

from samcli.yamlhelper import yaml_dump, yaml_parse

# sam build has put the function beside it, so paths in it are right in this folder only.
BUILT = Path(".aws-sam/build/template.yaml")
OVERLAID = Path(".aws-sam/build/demo.yaml")
OVERLAY = Path("tools/demo/role-policy-overlay.yaml")


def overlay():
    """Writes the template for MiniStack, and returns it with the difference to what `sam build` made."""
    template = yaml_parse(BUILT.read_text())
    before = yaml_dump(template)
    document = template["Resources"]["FunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    replacements = yaml_parse(OVERLAY.read_text())
    document["Statement"] = [s for old in document["Statement"] for s in _instead(old, replacements)]
    if replacements:
        raise SystemExit(f"{OVERLAY} names statements that the role doesn't have: {', '.join(replacements)}")
    after = yaml_dump(template)
    OVERLAID.write_text(after)
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), str(BUILT), str(OVERLAID), lineterm="", n=2)
    return OVERLAID, "\n".join(lines)


def _instead(statement, replacements):
    """The statements that take a statement's place; itself, mostly."""
    new = replacements.pop(statement.get("Sid"), statement)
    return new if isinstance(new, list) else [new]
