"""Makes dist/, or compares it with a new build. Exits with 0 on success, 1 on failure and 2 on incorrect usage."""

import os
import subprocess
import sys
from pathlib import Path

from stack.problem import Misuse, Problem
from stack.screen import Screen

from . import buckets, build, dist, make, names, readme, verify

_DIST = Path("dist")
_SOURCE = Path()


def main():
    """Runs the command, and explains what went wrong."""
    screen = Screen(os.environ)
    try:
        _command()(screen)
    except Problem as problem:
        screen.problem(problem, "")
        return problem.exit_code
    except KeyboardInterrupt:
        screen.note("\nInterrupted. dist/ was not changed.")
        return 130
    return 0


def _release(screen):
    """Replaces dist/."""
    listed = _buckets()
    # The build takes minutes. Mistakes in the template, the changelog or the page must show before it.
    make.files(make.Built(b"", ""), listed)
    _say_changes(screen)
    contents = make.files(make.built(_SOURCE, os.environ), listed)
    make.write(contents, _DIST)
    _show(screen, dist.read(_DIST), listed)


def _verify(screen):
    """Compares dist/ with its checksums, then with a new build in other folders."""
    listed = _buckets()
    found = dist.read(_DIST)
    screen.line(f"{_DIST}/ matches {names.SUMS}. Building again in other folders")
    with verify.elsewhere(_SOURCE, os.environ) as (source, environment):
        expected = make.files(make.built_with_copy(source, source, environment), listed)
    contents = {name: found.path(name).read_bytes() for name in found.names()}
    different = list(make.differences(contents, expected))
    if different:
        fix = "Was it made from this commit, and with the same BUCKETS?"
        raise Problem("\n".join(f"{_DIST}/{line}" for line in different), fix)
    screen.title(f"A second build, in other folders, made the same {len(contents)} files")


def _link(screen):
    """Puts the launch link into README.md."""
    listed = _buckets()
    if not listed:
        raise Misuse("BUCKETS is missing.", "Name the list of buckets to which the release was published: BUCKETS=FILE")
    text = readme.README.read_text(encoding="utf-8")
    readme.README.write_text(readme.with_link(text, listed), encoding="utf-8")
    screen.line(f"{readme.README} has the link to the launch page in {listed[0].name}. Commit this change.")


def _sam_build(_):
    """Runs sam build so that it makes the same binary as a release."""
    sam = Path(sys.executable).with_name("sam")
    environment = build.clean(os.environ) | {"SAM_CLI_TELEMETRY": "0"}
    environment |= build.flags(_SOURCE, environment)
    if subprocess.run([sam, "build"], env=environment, check=False).returncode != 0:
        raise Problem("sam build failed.", "Its output is above.")


_COMMANDS = {"release": _release, "verify": _verify, "link": _link, "build": _sam_build}


def _command():
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in _COMMANDS:
        raise Misuse(f"Expected one of these: {', '.join(_COMMANDS)}.")
    return _COMMANDS[name]


def _buckets():
    path = os.environ.get("BUCKETS")
    return buckets.read(path) if path else []


def _say_changes(screen):
    if build.output(["git", "status", "--porcelain", "--untracked-files=no"], _SOURCE, build.clean(os.environ)):
        screen.note("Some files differ from the commit. The release contains these changes.")


def _show(screen, made, listed):
    screen.title(f"{_DIST}/ contains release {made.version}")
    for name in made.names():
        screen.row(f"{made.path(name).stat().st_size:,} bytes", name)
    if listed:
        screen.row("regions", ", ".join(bucket.region for bucket in listed))
        screen.line(f"To publish it: make publish BUCKETS={os.environ['BUCKETS']}")
    else:
        screen.row("regions", "none, so the template asks for CodeS3Bucket")
        screen.line("To make it for your buckets: make release BUCKETS=FILE")


if __name__ == "__main__":
    sys.exit(main())
