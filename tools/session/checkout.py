"""Makes a checkout in which the four commands can be typed."""

import shutil
from pathlib import Path

from demo.overlay import overlaid
from samcli.yamlhelper import yaml_dump, yaml_parse

# What the four commands read, apart from the function's sources.
_COPIED = ("Makefile", "samconfig.toml", "tools")
# These name the tokens, and the session searches the copy for tokens.
_NOT_COPIED = ("__pycache__", "demo", "session")


def copy(folder):
    """Copies this checkout's commands to a new folder, with the template for MiniStack."""
    folder.mkdir()
    for name in _COPIED:
        if Path(name).is_dir():
            shutil.copytree(name, folder / name, ignore=shutil.ignore_patterns(*_NOT_COPIED))
        else:
            shutil.copy(name, folder)
    # The session is not about installing.
    (folder / ".tools").symlink_to(Path(".tools").resolve())
    text, _ = overlaid(Path("template.yaml").read_text(encoding="utf-8"), "template.yaml")
    template = yaml_parse(text)
    # At the same path as in `make build`. Otherwise cargo would compile the function again.
    template["Resources"]["Function"]["Properties"]["CodeUri"] = str(Path.cwd())
    (folder / "template.yaml").write_text(yaml_dump(template), encoding="utf-8")
