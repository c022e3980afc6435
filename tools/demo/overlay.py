"""Replaces the policy statements of the built template that MiniStack cannot evaluate."""

import difflib
from pathlib import Path

from samcli.yamlhelper import yaml_dump, yaml_parse

# The new template must be in the same folder, because its path to the function is relative.
BUILT = Path(".aws-sam/build/template.yaml")
OVERLAID = Path(".aws-sam/build/demo.yaml")
OVERLAY = Path("tools/demo/role-policy-overlay.yaml")


def overlay():
    """Writes the template for MiniStack. Returns its path, and a diff against the template from `sam build`."""
    text, difference = overlaid(BUILT.read_text(), BUILT)
    OVERLAID.write_text(text)
    return OVERLAID, difference


def overlaid(text, name):
    """A template with the statements replaced, and the difference. `name` is the template's name in the difference."""
    template = yaml_parse(text)
    before = yaml_dump(template)
    document = template["Resources"]["FunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    replacements = yaml_parse(OVERLAY.read_text())
    document["Statement"] = [s for old in document["Statement"] for s in _replaced(old, replacements)]
    if replacements:
        raise SystemExit(f"{OVERLAY} replaces statements that FunctionRole does not have: {', '.join(replacements)}")
    after = yaml_dump(template)
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), str(name), OVERLAID.name, lineterm="", n=2)
    return after, "\n".join(lines)


def _replaced(statement, replacements):
    """The statements that replace a statement, or the statement itself if it has no replacement."""
    new = replacements.pop(statement.get("Sid"), statement)
    return new if isinstance(new, list) else [new]
