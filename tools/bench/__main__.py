"""Compares a Create of the function with `coiled setup aws` and with a crhelper function; run it with `make bench`."""

import argparse
import os
import statistics
import sys
from pathlib import Path

from loopback import options

from bench.contenders import Harness, crhelper_files, load, zip_mb
from bench.road import DELAY_SECONDS

# By design, this many round trips of a Create are sequential. The measured number is printed too.
CRITICAL_PATH_TRIPS = 10
SETTLE_SECONDS = 1.0
USE_COLOR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

NOTE = f"""
These are the results of one run on one machine. Both sides use the same servers. Every request of either side, to AWS,
to Coiled or to the bucket, is delayed by {DELAY_SECONDS * 1000:g} ms. Both sides start with an empty account and must end with the
same connection, which is checked after each run. Both sides let one second pass between their first and last proof of
the key. This settle time is fixed, so the targets leave it out on both sides.

On AWS both sides take longer, by about the same time: a new key needs 5 to 15 s until it works everywhere, and Coiled
needs up to several minutes to create its resources. Here a key works immediately, and the stand-in creates nothing.
docs/bench.md explains each row."""


class Table:
    """Prints measured values, compares some with a target, and counts the targets that were missed."""

    def __init__(self):
        self.missed = 0

    def head(self, text):
        print(f"\n{_colored(text, 1)}")

    def row(self, label, value, note="", at_most=None, at_least=None):
        bounds = [(at_most, "at most", lambda bound: value[0] <= bound), (at_least, "at least", lambda b: value[0] >= b)]
        target, verdict = "", ""
        for bound, words, holds in bounds:
            if bound is not None:
                target = f"{words} {bound:g}"
                is_met = holds(bound)
                verdict = _colored("ok", 32) if is_met else _colored("MISSED", 31)
                self.missed += not is_met
        number = f"{value[0]:.{value[2]}f} {value[1]}".rstrip()
        print(f"  {label:<43} {number:>10}  {target:<13} {verdict:<6}  {note}".rstrip())


def _colored(text, code):
    return f"\033[{code}m{text}\033[0m" if USE_COLOR else text


def main():
    parser = options(argparse.ArgumentParser(prog="bench", description=__doc__))
    parser.add_argument(
        "--python", type=Path, required=True, metavar="FILE", help="Python with awslambdaric, boto3 and crhelper"
    )
    arguments = parser.parse_args()
    # absolute() keeps the symbolic link. Python finds its venv through the link's folder.
    arguments.python = arguments.python.absolute()
    runs = _runs()
    before = load()
    with Harness(arguments) as harness:
        results = _measure(harness, runs)
    table = Table()
    _report(table, results, arguments)
    print(f"{NOTE}\n{before} at the start, {load()} at the end.")
    missed = "1 target was missed" if table.missed == 1 else f"{table.missed} targets were missed"
    print(_colored(missed, 31) if table.missed else _colored("all targets were met", 32))
    return 1 if table.missed else 0


def _runs():
    words = os.environ.get("RUNS", "15")
    if not words.isdigit() or int(words) < 1:
        sys.exit(f"RUNS must be a positive integer, not {words!r}: for example, make bench RUNS=3")
    return int(words)


def _measure(harness, runs):
    """Runs the contenders in turn, so that other load affects all of them. The slow command runs every third time."""
    _say("warming up")
    # Python compiles a module on its first import, and moto loads a service on its first call. Neither is measured.
    harness.cli_start()
    harness.crhelper()
    harness.function()
    function, crhelper, cli, start = [], [], [], []
    for n in range(runs):
        function.append(harness.function())
        crhelper.append(harness.crhelper())
        if n % 3 == 0:
            start.append(harness.cli_start())
            cli.append(harness.cli())
        times = f"Create {function[-1].seconds:.2f} s, `coiled setup aws` {cli[-1].seconds:.1f} s"
        _say(f"run {n + 1} of {runs}: {times}, {load()}")
    return function, crhelper, cli, start


def _say(text):
    print(f"    {text}", flush=True)


def _report(table, results, arguments):
    function, crhelper, cli, start = results
    create, command = _median(run.seconds for run in function), _median(run.seconds for run in cli)
    table.head("a cold Create, from the event to the response in the bucket")
    table.row("Create, median", (create, "s", 3), _spread(run.seconds for run in function))
    table.row("`coiled setup aws --use-access-key`, median", (command, "s", 3), _spread(run.seconds for run in cli))
    table.row("  of this, Python start and imports", (_median(start), "s", 3), "`coiled --version`")
    table.row("speedup, total times", (command / create, "x", 1))
    # Subtracts only the time that the command really waited.
    cli_settle = min(SETTLE_SECONDS, min(run.cli_settle_seconds() for run in cli))
    without_both = (command - cli_settle) / (create - SETTLE_SECONDS)
    note = f"settle time of the command: {cli_settle:.3f} s"
    table.row("speedup, without settle time on both sides", (without_both, "x", 1), note, at_least=8.5)
    _critical_path(table, function, create)
    _proofs(table, function)
    table.head("requests (a WebSocket counts as one)")
    for server, most in (("Coiled", 5), ("AWS", None)):
        count, others = (_median(len(run.requests_to(server)) for run in runs) for runs in (function, cli))
        table.row(f"to {server} for a Create", (count, "", 0), f"`coiled setup aws`: {others:.0f}", at_most=most)
    shortest, others = (min(run.shortest_ms() for run in runs) for runs in (function, cli))
    note = f"`coiled setup aws`: {others:.1f} ms"
    table.row("shortest request", (shortest, "ms", 1), note, at_least=DELAY_SECONDS * 1000)
    _sizes(table, function, crhelper, arguments)


def _critical_path(table, function, create):
    trips = _median(len(run.sequential_trips()) for run in function)
    path = CRITICAL_PATH_TRIPS * DELAY_SECONDS
    table.head(f"critical path: {CRITICAL_PATH_TRIPS} sequential round trips of {DELAY_SECONDS * 1000:g} ms")
    table.row("Create without settle time", (create - SETTLE_SECONDS, "s", 3), f"critical path: {path:.3f} s")
    table.row("ratio to the critical path", ((create - SETTLE_SECONDS) / path, "x", 2), at_most=1.2)
    note = f"{trips * DELAY_SECONDS:.2f} s; the other two proofs run during the settle time"
    # Independent of the load on the machine.
    table.row("sequential round trips, counted", (trips, "", 0), note, at_most=CRITICAL_PATH_TRIPS)


def _proofs(table, function):
    table.head("never reduced for speed")
    table.row("proofs that the key works, minimum", (min(run.proofs() for run in function), "", 0), at_least=3)
    settle = min(run.settle_seconds() for run in function)
    table.row("settle time of the key, minimum", (settle, "s", 3), at_least=SETTLE_SECONDS)


def _sizes(table, function, crhelper, arguments):
    table.head("size, compared with a Python function with crhelper on the same emulator")
    init, other = (_median(run.init_ms for run in runs) for runs in (function, crhelper))
    spread = _spread((run.init_ms for run in function), 1)
    table.row("init, median", (init, "ms", 1), f"crhelper: {other:.0f} ms; {spread}", at_most=25)
    peak, other = (max(run.peak_mb for run in runs) for runs in (function, crhelper))
    table.row("peak memory of a Create, maximum", (peak, "MB", 1), f"crhelper: {other:.0f} MB", at_most=30)
    packed, other = zip_mb({"bootstrap": arguments.bootstrap}), zip_mb(crhelper_files(arguments.python))
    binary = f"binary {arguments.bootstrap.stat().st_size / 1e6:.1f} MB"
    note = f"crhelper: {other:.2f} MB without boto3, which Lambda provides; {binary}"
    table.row("zip", (packed, "MB", 2), note, at_most=5)


def _median(values):
    return statistics.median(values)


def _spread(values, digits=2):
    values = list(values)
    runs = "1 run" if len(values) == 1 else f"{len(values)} runs"
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}, {runs}"


if __name__ == "__main__":
    sys.exit(main())
