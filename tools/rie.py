"""Runs the function on AWS's Runtime Interface Emulator until Ctrl-C, for events sent by hand. See `make rie`."""

import argparse
import json
import os
import sys
import threading

from loopback import HOST, INVOKE, Ports, World, options

COLORS = {"function": 36, "coiled": 35, "response": 32}
USE_COLOR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
LOCK = threading.Lock()


def show(name, text):
    """Prints text with its source before each line. Omits moto's log, which only repeats the function's calls."""
    if name == "moto":
        return
    label = f"{name:>8}"
    if USE_COLOR:
        label = f"\033[{COLORS[name]}m{label}\033[0m"
    with LOCK:
        for line in text.splitlines() or [""]:
            print(f"{label} | {line}", flush=True)


def show_line(name, line):
    """Prints a line of a child process. Converts the function's JSON log to plain text."""
    try:
        fields = json.loads(line)
        words = [fields.pop("timestamp")[11:23], fields.pop("level"), fields.pop("message")]
    except (ValueError, TypeError, AttributeError, KeyError):
        show(name, line)
        return
    fields.pop("target", None)
    show(name, " ".join(words + [f"{key}={value}" for key, value in fields.items()]))


def show_response(body):
    """Prints a response to CloudFormation, and its size."""
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        text = body.decode(errors="replace")
    show("response", f"{len(body)} bytes for CloudFormation\n{text}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    arguments = options(parser).parse_args()
    ports = Ports.fixed()
    try:
        with World(arguments, ports, show_line, show_response) as world:
            world.function()
            print(
                f"The function waits for events on port {ports.emulator}. The stand-in for Coiled listens on port "
                f"{ports.coiled}, and moto on port {ports.moto}.\n"
                f"To send an event, run this in another terminal, in this folder:\n\n"
                f"    curl -d @events/create.json http://{HOST}:{ports.emulator}{INVOKE}\n\n"
                f"Ctrl-C stops everything.\n",
                flush=True,
            )
            world.watch()
    except KeyboardInterrupt:
        print("\nstopped", flush=True)


if __name__ == "__main__":
    main()
