"""Builds a release again, in another place, and compares it with dist/."""

import contextlib
import shutil
import tempfile
from pathlib import Path

from . import make


@contextlib.contextmanager
def elsewhere(source, environment):
    """A copy of the sources in a new folder, and an environment with another home, CARGO_HOME and time zone."""
    home = Path(environment["HOME"])
    cargo_home = Path(environment.get("CARGO_HOME") or home / ".cargo")
    with tempfile.TemporaryDirectory(prefix="coiled-release-") as place:
        folders = {name: Path(place, name).resolve() for name in ("sources", "home", "cargo")}
        for folder in folders.values():
            folder.mkdir()
        make.copy_sources(source, folders["sources"])
        # The configuration may name a proxy or a mirror of the crates.
        if (cargo_home / "config.toml").is_file():
            shutil.copy(cargo_home / "config.toml", folders["cargo"])
        rustup_home = environment.get("RUSTUP_HOME") or str(home / ".rustup")
        other = {"HOME": str(folders["home"]), "CARGO_HOME": str(folders["cargo"]), "RUSTUP_HOME": rustup_home}
        without = {name: value for name, value in environment.items() if name != "CARGO_TARGET_DIR"}
        yield folders["sources"], without | other | {"TZ": "Pacific/Kiritimati"}
