"""Prints the launch page of a release. `demo` clicks on it."""

import argparse
import sys

from release import buckets

from .page import render


def main():
    """Prints the page."""
    parser = argparse.ArgumentParser(prog="launch", description=__doc__)
    parser.add_argument("--release", required=True, metavar="VERSION")
    parser.add_argument("--buckets", required=True, metavar="FILE")
    arguments = parser.parse_args()
    print(render(arguments.release, buckets.read(arguments.buckets)), end="")


if __name__ == "__main__":
    sys.exit(main())
