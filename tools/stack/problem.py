"""What a command says when it cannot do its work."""

import shlex


class Problem(Exception):
    """A failure that a person can act on: what happened, and what to do about it."""

    exit_code = 1

    def __init__(self, what, fix=""):
        super().__init__(what)
        self.what = what
        self.fix = fix


class Misuse(Problem):
    """The command was used incorrectly. It would fail no matter what state AWS and Coiled are in."""

    exit_code = 2


def shell(*words):
    """A command as a person would type it."""
    return shlex.join(words)
