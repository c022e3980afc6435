"""Puts the launch link into README.md."""

import re
from pathlib import Path

from stack.problem import Problem

from . import names

README = Path("README.md")

_PLACE = re.compile(r"(?<=<!-- launch -->).*?(?=<!-- /launch -->)")


def with_link(text, buckets):
    """The text of README.md with the link to the launch page. The number of lines does not change."""
    link = names.url(buckets[0], names.latest_key(names.PAGE))
    filled = f"**[Launch the stack]({link})** in your browser."
    text, count = _PLACE.subn(filled, text)
    if count != 1:
        raise Problem(f"{README} must contain <!-- launch -->…<!-- /launch --> once, in one line.")
    return text
