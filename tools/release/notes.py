"""RELEASE.md: what changed in a release, and the hashes of its code."""

import re
from pathlib import Path

from stack.problem import Problem

CHANGELOG = Path("CHANGELOG.md")

_SECTION = re.compile(r"^## \[(?P<name>[^\]]+)\].*\n(?P<text>(?:(?!## ).*\n?)*)", re.MULTILINE)


def render(release, code, changelog=None):
    """The text of RELEASE.md. `code` names the files and hashes, as (file, kind of hash, value)."""
    text = changelog if changelog is not None else CHANGELOG.read_text(encoding="utf-8")
    rows = "".join(f"| `{file}` | {kind} | `{value}` |\n" for file, kind, value in code)
    return (
        f"# Coiled AWS stack {release}\n\n## Changes\n\n{_part(text, release)}\n\n"
        "## The function's code\n\n"
        f"| file | hash | value |\n| --- | --- | --- |\n{rows}"
    )


def _part(text, release):
    """The part of the changelog about this release. Before a release is tagged, its part is still named Unreleased."""
    sections = {found["name"]: found["text"].strip() for found in _SECTION.finditer(text)}
    part = sections.get(release) or sections.get("Unreleased")
    if not part:
        raise Problem(f"{CHANGELOG} has no part [{release}] and no part [Unreleased].")
    return part
