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
    """The command was called in a wrong way, which no other state of AWS or Coiled would change."""

    exit_code = 2


def shell(*words):
    """A command as a person would type it."""
    return shlex.join(words)
