"""Runs one command on the stack. Exits with 0 on success, 1 on failure, 2 on incorrect usage and 130 on Ctrl-C."""

import os
import sys

from . import delete, deploy, program, status, update
from .options import Options
from .problem import Misuse
from .run import Run

_COMMANDS = {"deploy": deploy.run, "update": update.run, "status": status.run, "delete": delete.run}


def main():
    """Runs the command, and explains what went wrong."""
    return program.main(
        lambda screen: Run(Options.read(os.environ), screen), lambda run: _COMMANDS[_command(run.options)](run)
    )


def _command(options):
    """The command's name. Rejects options that it does not support."""
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in _COMMANDS:
        raise Misuse(f"Expected one of these: {', '.join(_COMMANDS)}.")
    if options.settings.strip() and name in ("status", "delete"):
        raise Misuse(f"SET is only for deploy and update. {name} changes no parameters.")
    return name


if __name__ == "__main__":
    sys.exit(main())
