"""Builds the function so that the same sources give the same bytes in any folder, home and time zone.

Three things would otherwise differ: paths in the binary, the compilers, and settings in the environment. Paths are
mapped to fixed ones. rust-toolchain.toml pins rustc, and tools/sam.txt pins zig, which links and compiles C. Of the
environment, the build gets only what tells where tools and servers are.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from stack.problem import Problem, shell

# Where the function runs. On another machine, cargo-lambda would build for that machine.
TARGET = "x86_64-unknown-linux-gnu"

# cargo-lambda and zig, in SAM's own environment.
_TOOLS = Path(sys.executable).parent.absolute()

_KEPT = re.compile(
    r"PATH|HOME|TMPDIR|TZ"
    r"|CARGO_HOME|CARGO_TARGET_DIR|CARGO_BUILD_JOBS|CARGO_(HTTP|NET|REGISTRIES|REGISTRY|SOURCE)_\w+"
    # Not RUSTUP_TOOLCHAIN, which would override rust-toolchain.toml.
    r"|RUSTUP_HOME|RUSTUP_DIST_SERVER|RUSTUP_UPDATE_ROOT|RUSTUP_AUTO_INSTALL"
    r"|SSL_CERT_(FILE|DIR)|(HTTP|HTTPS|ALL|NO)_PROXY|(http|https|all|no)_proxy"
)


def clean(environment):
    """The part of an environment that a build may see."""
    kept = {name: value for name, value in environment.items() if _KEPT.fullmatch(name)}
    # cargo-lambda finds zig next to the first python3 on PATH.
    return kept | {"PATH": f"{_TOOLS}{os.pathsep}{environment['PATH']}"}


def flags(source, environment):
    """The variable that makes rustc map all paths.

    RUSTFLAGS could not contain paths with spaces. cargo leaves these flags out of the hashes in symbol names.
    """
    return _flags(source, _metadata(source, environment))


def _flags(source, metadata):
    roots = {Path(package["manifest_path"]).parents[1] for package in metadata["packages"] if package["source"]}
    # If several mappings match, rustc uses the last one. The folder of the crates in CARGO_HOME is named after the server
    # that they are downloaded from.
    mappings = {source.absolute(): "/src", Path(metadata["target_directory"]): "/target"}
    mappings |= {root: "/crates" for root in sorted(roots)}
    options = [f"--remap-path-prefix={path}={fixed}" for path, fixed in mappings.items()]
    return {"CARGO_ENCODED_RUSTFLAGS": "\x1f".join(options)}


def function(source, environment):
    """Builds the function, and returns its bytes."""
    check_rustc(source, environment)
    metadata = _metadata(source, environment)
    build = ["cargo", "lambda", "build", "--release", "--locked", "--bin", "bootstrap"]
    _run(build, source, environment | _flags(source, metadata))
    target = Path(metadata["target_directory"])
    binary = (target / "lambda/bootstrap/bootstrap").read_bytes()
    sysroot = output(["rustc", "--print", "sysroot"], source, environment).strip()
    check_paths(binary, [source.absolute(), target, _TOOLS, _cargo_home(environment), Path(sysroot)])
    return binary


def check_rustc(source, environment):
    """Rejects another compiler than the pinned one, for example one that rustup does not manage."""
    pinned = tomllib.loads((source / "rust-toolchain.toml").read_text(encoding="utf-8"))["toolchain"]["channel"]
    found, *facts = output(["rustc", "--version", "--verbose"], source, environment).splitlines()
    if f"host: {TARGET}" not in facts:
        raise Problem(f"A release can be built only on {TARGET}. This machine's rustc says: {', '.join(facts)}")
    if not found.startswith(f"rustc {pinned} "):
        install = shell("rustup", "toolchain", "install", pinned, "--profile", "minimal")
        raise Problem(f"A release needs rustc {pinned}, but this is {found}.", f"Run {install}")


def check_paths(binary, paths):
    """Rejects a binary that contains one of these paths, which are different on another machine."""
    found = [path for path in paths if os.fsencode(path) in binary]
    if found:
        raise Problem(f"The binary contains {found[0]}, a path of this machine. The build would not be reproducible.")


def _cargo_home(environment):
    return Path(environment.get("CARGO_HOME") or Path(environment["HOME"], ".cargo"))


def _metadata(source, environment):
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    return json.loads(output(command, source, environment))


def output(command, source, environment):
    """What a command prints. Raises Problem if it fails."""
    return _run(command, source, environment, stdout=subprocess.PIPE, text=True).stdout


def _run(command, source, environment, **options):
    try:
        done = subprocess.run(command, cwd=source, env=environment, stdin=subprocess.DEVNULL, check=False, **options)
    except FileNotFoundError:
        raise Problem(f"{command[0]} is not installed.", "docs/development.md lists what is needed.") from None
    if done.returncode != 0:
        raise Problem(f"{shell(*command)} exited with {done.returncode}.", "Its output is above.")
    return done
