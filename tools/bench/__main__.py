"""The function beside `coiled setup aws` and beside a crhelper handler, against the same slow servers; see `make bench`."""

import argparse
import os
import statistics
import sys
from pathlib import Path

from loopback import options

from bench.contenders import Track, crhelper_files, load, zip_mb
from bench.road import DELAY_SECONDS

# The critical path of a Create, as it is designed; what is counted on the way is printed beside it.
PATH = 10
SETTLE_SECONDS = 1.0
COLOURED = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

NOTE = f"""
One run, one machine, one set of servers: each request of either side, to AWS, to Coiled and to the bucket, arrives {DELAY_SECONDS * 1000:g} ms
late. Both begin with an empty account and end with the same connection, which is looked at after each run. Both pause for
the same second between the proof of the key and its registration. That settle time is no round trip, so the Create is judged
without it, beside the whole command; what comes of the whole times, and of both without it, stands above. No emulated key
has to spread, and the stand-in provisions nothing: a real Create is dominated by the key's propagation (5 to 15 s) and by
Coiled's own provisioning (up to minutes), for either side alike. docs/bench.md says more."""


class Table:
    """What was measured, against its target where it has one."""

    def __init__(self):
        self.missed = 0

    def head(self, text):
        print(f"\n{_coloured(text, 1)}")

    def row(self, what, value, note="", at_most=None, at_least=None):
        bounds = [(at_most, "at most", lambda bound: value[0] <= bound), (at_least, "at least", lambda b: value[0] >= b)]
        target, verdict = "", ""
        for bound, words, holds in bounds:
            if bound is not None:
                target = f"{words} {bound:g}"
                is_met = holds(bound)
                verdict = _coloured("ok", 32) if is_met else _coloured("MISSED", 31)
                self.missed += not is_met
        number = f"{value[0]:.{value[2]}f} {value[1]}".rstrip()
        print(f"  {what:<43} {number:>10}  {target:<13} {verdict:<6}  {note}".rstrip())


def _coloured(text, code):
    return f"\033[{code}m{text}\033[0m" if COLOURED else text


def main():
    parser = options(argparse.ArgumentParser(prog="bench", description=__doc__))
    parser.add_argument("--python", type=Path, required=True, metavar="FILE", help="has awslambdaric, boto3, crhelper")
    arguments = parser.parse_args()
    # The link into a venv is what makes it one: not resolved.
    arguments.python = arguments.python.absolute()
    runs = _runs()
    before = load()
    with Track(arguments) as track:
        results = _race(track, runs)
    table = Table()
    _report(table, results, arguments)
    print(f"{NOTE}\n{before} before, {load()} after.")
    print(_coloured(f"{table.missed} missed", 31) if table.missed else _coloured("all targets met", 32))
    return 1 if table.missed else 0


def _runs():
    words = os.environ.get("RUNS", "15")
    if not words.isdigit() or int(words) < 1:
        sys.exit(f"RUNS has to be a number of runs, not {words!r}")
    return int(words)


def _race(track, runs):
    """All in turn, so that a busy minute of the machine falls on each; the slow command once in three."""
    _say("warming up")
    # Python compiles what it imports at its first start, and moto loads a service at its first call; no contender pays for that.
    track.cli_start()
    track.crhelper()
    track.function()
    function, crhelper, cli, start = [], [], [], []
    for n in range(runs):
        function.append(track.function())
        crhelper.append(track.crhelper())
        if n % 3 == 0:
            start.append(track.cli_start())
            cli.append(track.cli())
        whole = f"Create {function[-1].seconds:.2f} s, `coiled setup aws` {cli[-1].seconds:.1f} s"
        _say(f"{n + 1} of {runs}: {whole}, {load()}")
    return function, crhelper, cli, start


def _say(text):
    print(f"    {text}", flush=True)


def _report(table, results, arguments):
    function, crhelper, cli, start = results
    whole, command = _median(run.seconds for run in function), _median(run.seconds for run in cli)
    table.head("a cold Create, from the event to the answer in the bucket")
    table.row("whole, median", (whole, "s", 3), _spread(run.seconds for run in function))
    table.row("`coiled setup aws --use-access-key`, median", (command, "s", 3), _spread(run.seconds for run in cli))
    table.row("  of it: starting Python and its imports", (_median(start), "s", 3), "`coiled --version`")
    table.row("times faster, whole", (command / whole, "x", 1))
    # Taken from the command only if it was there to take.
    pause = min(SETTLE_SECONDS, min(run.cli_settle_seconds() for run in cli))
    both = (command - pause) / (whole - SETTLE_SECONDS)
    table.row("times faster, no settle time on either side", (both, "x", 1), f"the command's: {pause:.3f} s")
    table.row("times faster, Create without settle time", (command / (whole - SETTLE_SECONDS), "x", 1), at_least=8)
    _path(table, function, whole)
    _proofs(table, function)
    table.head("requests (a WebSocket is one)")
    for server, most in (("Coiled", 5), ("AWS", None)):
        count, others = (_median(len(run.to(server)) for run in runs) for runs in (function, cli))
        table.row(f"to {server} for a Create", (count, "", 0), f"`coiled setup aws`: {others:.0f}", at_most=most)
    quickest, others = (min(run.shortest_ms() for run in runs) for runs in (function, cli))
    table.row("the quickest of all", (quickest, "ms", 1), f"`coiled setup aws`: {others:.1f} ms", at_least=DELAY_SECONDS * 1000)
    _sizes(table, function, crhelper, arguments)


def _path(table, function, whole):
    trips = _median(len(run.added_up()) for run in function)
    path = PATH * DELAY_SECONDS
    table.head(f"against the critical path: {PATH} round trips of {DELAY_SECONDS * 1000:g} ms")
    table.row("without the settle time", (whole - SETTLE_SECONDS, "s", 3), f"the path alone is {path:.3f} s")
    table.row("times the path", ((whole - SETTLE_SECONDS) / path, "x", 2), at_most=1.5)
    note = f"{trips * DELAY_SECONDS:.2f} s; the settle time hides one more"
    # The same bound as above, for a machine that is too busy to tell.
    table.row("round trips that add up, as counted", (trips, "", 0), note, at_most=1.5 * PATH)


def _proofs(table, function):
    table.head("never lowered for speed")
    table.row("proofs that the key works", (min(run.proofs() for run in function), "", 0), "fewest", at_least=3)
    settle = min(run.settle_seconds() for run in function)
    table.row("settle time before it is registered", (settle, "s", 3), "shortest", at_least=SETTLE_SECONDS)


def _sizes(table, function, crhelper, arguments):
    table.head("size, beside a crhelper handler in Python on the same emulator")
    init, other = (_median(run.init_ms for run in runs) for runs in (function, crhelper))
    spread = _spread((run.init_ms for run in function), 1)
    table.row("init, median", (init, "ms", 1), f"crhelper: {other:.0f} ms; {spread}", at_most=25)
    peak, other = (max(run.peak_mb for run in runs) for runs in (function, crhelper))
    table.row("peak memory of a Create, highest", (peak, "MB", 1), f"crhelper: {other:.0f} MB", at_most=30)
    packed, other = zip_mb({"bootstrap": arguments.bootstrap}), zip_mb(crhelper_files(arguments.python))
    binary = f"binary {arguments.bootstrap.stat().st_size / 1e6:.1f} MB"
    table.row("zip", (packed, "MB", 2), f"crhelper: {other:.2f} MB, boto3 is Lambda's; {binary}", at_most=5)


def _median(values):
    return statistics.median(values)


def _spread(values, digits=2):
    values = list(values)
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}, {len(values)} runs"


if __name__ == "__main__":
    sys.exit(main())
