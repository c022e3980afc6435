"""Keeps the function up on AWS's Runtime Interface Emulator until Ctrl-C: send it events, and watch. See `make rie`."""

import argparse
import json
import os
import sys
import threading

from loopback import HOST, INVOKE, Ports, World, options

COLOURS = {"function": 36, "coiled": 35, "answer": 32}
COLOURED = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
LOCK = threading.Lock()


def show(name, text):
    """Lines of several processes, each with its source; moto's would only repeat what the function's log says."""
    if name == "moto":
        return
    label = f"{name:>8}"
    if COLOURED:
        label = f"\033[{COLOURS[name]}m{label}\033[0m"
    with LOCK:
        for line in text.splitlines() or [""]:
            print(f"{label} | {line}", flush=True)


def spoken(name, line):
    """A line of a child; the function's JSON as a person would write it."""
    try:
        fields = json.loads(line)
        words = [fields.pop("timestamp")[11:23], fields.pop("level"), fields.pop("message")]
    except (ValueError, TypeError, AttributeError, KeyError):
        show(name, line)
        return
    fields.pop("target", None)
    show(name, " ".join(words + [f"{key}={value}" for key, value in fields.items()]))


def answered(body):
    """An answer as CloudFormation would read it."""
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        text = body.decode(errors="replace")
    show("answer", f"{len(body)} bytes for CloudFormation\n{text}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    arguments = options(parser).parse_args()
    ports = Ports.fixed()
    try:
        with World(arguments, ports, spoken, answered) as world:
            world.function()
            print(
                f"The function waits on port {ports.emulator}; Coiled's stand-in is on {ports.coiled}, "
                f"moto on {ports.moto}.\n"
                f"In another terminal, in this folder:\n\n"
                f"    curl -d @events/create.json http://{HOST}:{ports.emulator}{INVOKE}\n\n"
                f"Ctrl-C ends everything.\n",
                flush=True,
            )
            world.watch()
    except KeyboardInterrupt:
        print("\nended", flush=True)


if __name__ == "__main__":
    main()
