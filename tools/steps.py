"""Prepares a command of the Makefile in numbered steps, in parallel if possible, and then starts the command.

Each chain is a list of steps TITLE=GOAL, where GOAL is a goal of the Makefile. The steps of a chain run one after
another. Different chains run at the same time. A step's output is shown only if it fails.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from contextlib import suppress

# A running step is reported after each interval of this many seconds.
PATIENCE = 30


class Failed(Exception):
    """A step failed, and its output has been printed."""


class Steps:
    """Numbers the steps in the order in which they start, and runs them."""

    def __init__(self, make, total, out=sys.stdout):
        self._make = make
        self._total = total
        self._out = out
        self._use_color = out.isatty() and not os.environ.get("NO_COLOR")
        self._started = 0

    async def chains(self, chains):
        """Runs all chains at the same time. The first failure stops the others."""
        async with asyncio.TaskGroup() as group:
            for chain in chains:
                group.create_task(self._chain(chain))

    def begin(self, title):
        """Prints the heading of the next step, and returns its number."""
        self._started += 1
        number = f"{self._started}/{self._total}"
        self.say(f"==> {number} {title}", bold=True)
        return number

    def say(self, text, bold=False):
        """Prints a line. `bold` has no effect if the output does not support it."""
        print(f"\033[1m{text}\033[0m" if bold and self._use_color else text, file=self._out, flush=True)

    async def _chain(self, chain):
        for title, goal in chain:
            await self._step(title, goal)

    async def _step(self, title, goal):
        name = f"{self.begin(title)} {title}"
        since = time.monotonic()
        # A group of its own, because stopping a step must also stop the processes of cargo and pip.
        process = await asyncio.create_subprocess_exec(
            self._make,
            goal,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output = await self._output(process, name, since)
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            await process.wait()
            raise
        if process.returncode:
            self.say(output.decode(errors="replace").rstrip())
            self.say(f"==> {name} failed. The other steps were stopped.", bold=True)
            raise Failed
        self.say(f"    {name}: done in {time.monotonic() - since:.0f} s")

    async def _output(self, process, name, since):
        output = asyncio.create_task(process.communicate())
        while not (await asyncio.wait([output], timeout=PATIENCE))[0]:
            self.say(f"    {name}: running for {time.monotonic() - since:.0f} s")
        return output.result()[0]


def main():
    """Runs the chains, and replaces this process with the command."""
    arguments = _arguments()
    chains = [[step.split("=", 1) for step in chain] for chain in arguments.chain]
    steps = Steps(arguments.make, sum(map(len, chains)) + 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    steps.say(f"{arguments.title} takes {arguments.takes} (on two cores).")
    try:
        asyncio.run(steps.chains(chains))
    except* Failed:
        sys.exit(1)
    except* KeyboardInterrupt:
        sys.exit(130)
    steps.begin(arguments.title)
    os.execvp(arguments.command[0], arguments.command)


def _arguments():
    parser = argparse.ArgumentParser(prog="steps", description=__doc__)
    parser.add_argument("--make", default="make", help="the make program")
    parser.add_argument("--title", required=True, help="the title of the command, which is the last step")
    parser.add_argument("--takes", required=True, help="how long everything takes")
    parser.add_argument("--chain", action="append", nargs="+", default=[], metavar="TITLE=GOAL")
    parser.add_argument("command", nargs="+", help="the command, after --")
    return parser.parse_args()


if __name__ == "__main__":
    main()
