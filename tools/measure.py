"""Measures the function on AWS's Runtime Interface Emulator against its targets; see `make measure`."""

import argparse
import io
import json
import re
import statistics
import sys
import zipfile
from pathlib import Path

from loopback import HOST, ROOT, Ports, World, options

STARTS = 15
INIT_MS = 25.0
PEAK_MB = 30.0
REQUESTS = 5
ZIP_MB = 5.0

# What the emulator logs when the function has asked for its first event. (Init Duration in its REPORT line is another:
# it leaves out the start of the process.)
INIT = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)\)")
# What the stand-in prints of each request; opening the WebSocket is one.
REQUEST = re.compile(r"(?:GET|POST|PUT|PATCH|DELETE) /\S*")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=STARTS, metavar="N")
    arguments = options(parser).parse_args()
    ports = Ports.free()
    answers = []
    with World(arguments, ports, lambda *_: None, answers.append) as world:
        inits = [init_ms(world) for _ in range(arguments.starts)]
        peak = peak_mb(world, answers)
        requests = [line for line in world.coiled.lines if REQUEST.fullmatch(line)]
    packed = zip_mb(arguments.bootstrap)
    spread = f"{min(inits):.1f} to {max(inits):.1f}, {len(inits)} starts"
    rows = [
        ("init, median", statistics.median(inits), INIT_MS, "ms", spread),
        ("peak memory of a Create", peak, PEAK_MB, "MB", "VmHWM"),
        ("requests to Coiled for a Create", len(requests), REQUESTS, "", "the WebSocket is one"),
        ("zip", packed, ZIP_MB, "MB", f"binary {arguments.bootstrap.stat().st_size / 1e6:.1f} MB"),
    ]
    for line in requests:
        print(f"    {line}")
    for what, value, target, unit, note in rows:
        verdict = "ok" if value <= target else "MISSED"
        print(f"{what:<32} {value:>6.4g} {unit:<2}  target {target:>4g} {unit:<2}  {verdict:<6}  ({note})")
    return 0 if all(value <= target for _, value, target, _, _ in rows) else 1


def init_ms(world):
    """From the start of the process until it asks for its first event."""
    function = world.function()
    # Nothing that the function could act on: it is only there to make the emulator start it.
    world.invoke({})
    function.stop()
    for match in filter(None, map(INIT.search, function.lines)):
        return float(match[1])
    sys.exit("the emulator did not say how long the start took:\n" + "\n".join(function.lines))


def peak_mb(world, answers):
    """Of a Create that succeeded."""
    function = world.function()
    world.invoke(event("create", world.ports))
    peak = max(high_water_mb(pid) for pid in function.members() if is_function(pid, world.options.bootstrap))
    function.stop()
    statuses = [json.loads(answer)["Status"] for answer in answers]
    if statuses != ["SUCCESS"]:
        sys.exit("the Create did not succeed:\n" + "\n".join(function.lines + [str(answer) for answer in answers]))
    return peak


def event(name, ports):
    """One of events/, with the ports of this run."""
    fixed = Ports.fixed()
    text = (ROOT / "events" / f"{name}.json").read_text()
    for there, here in ((fixed.coiled, ports.coiled), (fixed.bucket, ports.bucket)):
        text = text.replace(f"{HOST}:{there}", f"{HOST}:{here}")
    return json.loads(text)


def is_function(pid, bootstrap):
    return Path(f"/proc/{pid}/exe").resolve() == bootstrap.resolve()


def high_water_mb(pid):
    """The most memory that was ever resident (VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e6


def zip_mb(bootstrap):
    """As it would be uploaded."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(bootstrap, "bootstrap")
    return len(buffer.getvalue()) / 1e6


if __name__ == "__main__":
    sys.exit(main())
