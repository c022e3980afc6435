"""The modules of src/ form layers. A module imports only from itself and from lower layers."""

import re
import unittest
from pathlib import Path

SRC = Path(__file__).resolve().parent.parent / "src"

# For each folder, its modules from the lowest layer to the highest. Modules of one layer do not import each other, so
# there are no import circles. "." is the folder's own file: `plan.rs` or `mod.rs`.
LAYERS = {
    "": [
        ["deadline", "lock", "redact", "tag"],
        ["certificate", "page"],
        ["http", "log"],
        ["error"],
        ["properties"],
        ["cloudformation"],
        ["config"],
        ["aws"],
        ["coiled"],
        ["resource"],
        ["reconcile", "delete"],
        ["handler"],
        ["."],
    ],
    "resource": [
        ["key_time", "ownership", "record", "trust"],
        ["lease"],
        ["context", "observe"],
        ["adopted", "leasing", "recognition"],
        ["suspects"],
        ["."],
    ],
    "reconcile": [
        ["link", "step"],
        ["journal", "plan"],
        ["decide", "refusals"],
        ["preflight"],
        ["run"],
        ["apply", "undo"],
        ["."],
    ],
    "reconcile/plan": [["held", "replacement"], ["stray"], ["room"], ["decision"], ["."], ["display"]],
    "delete": [["find"], ["access", "user", "restore"], ["blockers", "unrecorded"], ["deregister"], ["plan"], ["."]],
}


def module(source):
    """The module of a file below src/: `("delete", "find")` for `delete/find.rs`, and `()` for `lib.rs`."""
    parts = source.removesuffix(".rs").split("/")
    return tuple(parts[:-1] if parts[-1] in ("mod", "lib", "main") else parts)


def code(text):
    """The text without comments and unit tests."""
    text = re.split(r"\n#\[cfg\(test\)\]\nmod tests", text)[0]
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("//"))


def leaves(tree):
    """The paths of a `use` tree: `a::{b, c::d}` has `a::b` and `a::c::d`."""
    prefix, brace, group = tree.strip().partition("{")
    if not brace:
        yield prefix.split(" as ")[0].strip()
        return
    part, depth = "", 0
    for character in group.strip().removesuffix("}") + ",":
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            yield from (prefix + leaf for leaf in leaves(part) if leaf)
            part = ""
        else:
            part += character


def uses(text):
    """The path of each import, and each path in the code that begins with `crate`, `super` or a module."""
    trees = re.findall(r"\buse\s+([^;]+);", text)
    rest = re.sub(r"\buse\s+[^;]+;", "", text)
    return [leaf for tree in trees for leaf in leaves(tree)] + re.findall(r"(?<![\w:])[a-z_]\w*(?:::\w+)+", rest)


class Modules:
    """The modules of src/, and what they import from each other."""

    def __init__(self, sources):
        self.sources = {name: code(text) for name, text in sources.items()}
        self.names = {module(name)[:depth] for name in sources for depth in range(1, len(module(name)) + 1)}
        self.reexports = {}
        for name, text in self.sources.items():
            for tree in re.findall(r"\bpub(?:\([^)]*\))?\s+use\s+([^;]+);", text):
                for leaf in leaves(tree):
                    path = self.resolve(module(name), leaf)
                    if path:
                        self.reexports[*module(name), path[-1]] = path

    def resolve(self, here, path):
        """The absolute path of what a module names, or `None` if that is outside of this crate."""
        first, *rest = path.split("::")
        if first in ("crate", "super", "self"):
            base = {"crate": (), "super": here[:-1], "self": here}[first]
            while rest[:1] == ["super"]:
                base, rest = base[:-1], rest[1:]
            return (*base, *rest)
        return (*here, first, *rest) if (*here, first) in self.names else None

    def imports(self, source):
        here = module(source)
        found = (self.resolve(here, path) for path in uses(self.sources[source]))
        return sorted({self.reexports.get(path, path) for path in found if path})

    def part(self, folder, path):
        """The module in this folder that contains what the path names. `None` if it is outside of the folder."""
        inside = path[: len(folder)] == folder
        return (path[len(folder)] if path[: len(folder) + 1] in self.names else ".") if inside else None

    def upward(self):
        """The imports that do not point to a lower layer."""
        for folder, layers in LAYERS.items():
            base = tuple(folder.split("/")) if folder else ()
            rank = {name: number for number, names in enumerate(layers) for name in names}
            for source in self.sources:
                importer = self.part(base, (*module(source), ""))
                for path in self.imports(source) if importer else ():
                    imported = self.part(base, path)
                    if imported not in (None, importer) and rank[imported] >= rank[importer]:
                        yield f"{source} imports {'::'.join(path)}"


def sources():
    return {str(path.relative_to(SRC)): path.read_text() for path in SRC.rglob("*.rs") if "tests" not in str(path)}


class Layers(unittest.TestCase):
    def test_no_import_points_to_a_higher_layer(self):
        modules = Modules(sources())
        self.assertGreater(sum(len(modules.imports(source)) for source in modules.sources), 400)
        self.assertEqual(list(modules.upward()), [])

    def test_each_module_has_a_layer(self):
        for folder, layers in LAYERS.items():
            modules = {path.stem for path in (SRC / folder).iterdir()} - {"lib", "main", "mod", "tests"}
            self.assertEqual(modules | {"."}, {module for layer in layers for module in layer}, folder)

    def assert_found(self, source, text, *expected):
        """Adds this text at the beginning of a file."""
        changed = sources()
        changed[source] = f"{text}\n{changed[source]}"
        self.assertEqual(list(Modules(changed).upward()), [f"{source} imports {path}" for path in expected])

    def test_an_import_from_a_higher_layer_is_found(self):
        self.assert_found("aws/sts.rs", "use crate::resource::lease::Lease;", "resource::lease::Lease")
        self.assert_found("aws/sts.rs", "pub(crate) use crate::{tag::Tag, handler};", "handler")
        self.assert_found("aws/iam/mod.rs", "use crate::{\n    tag::{Tag, get},\n    coiled::{Coiled as C},\n};", "coiled::Coiled")
        self.assert_found("aws/sts.rs", "fn f() { crate::handler::handle() }", "handler::handle")
        self.assert_found("tag.rs", "use super::{lock, error::Error};", "error::Error", "lock")
        self.assert_found("aws/sts.rs", "// use crate::handler;\nuse crate::tag;")

    def test_an_import_from_a_higher_part_of_a_module_is_found(self):
        self.assert_found("reconcile/undo.rs", "use crate::reconcile::{apply, run};", "reconcile::apply")
        self.assert_found("reconcile/preflight.rs", "use super::{link, run::Run};", "reconcile::run::Run")
        self.assert_found("reconcile/undo/reregister.rs", "use super::super::apply;", "reconcile::apply")
        self.assert_found("delete/find.rs", "use super::run;", "delete::run")
        self.assert_found("resource/context.rs", "use super::{leasing, lease};", "resource::leasing")
        self.assert_found("resource/lease.rs", "use crate::resource::context::Context;", "resource::context::Context")
        self.assert_found("reconcile/plan/room.rs", "use super::{held, decision};", "reconcile::plan::decision")
        self.assert_found("reconcile/plan/held.rs", "use super::Plan;", "reconcile::plan::Plan")

    def test_an_import_of_a_reexport_counts_as_an_import_of_its_module(self):
        self.assert_found("reconcile/plan/held.rs", "use super::{KeyRoom};", "reconcile::plan::room::KeyRoom")
        self.assert_found("reconcile/plan/display.rs", "use super::{KeyRoom};")

    def test_a_folders_own_file_has_a_layer_too(self):
        self.assert_found("reconcile/plan.rs", "use display::sequence;", "reconcile::plan::display::sequence")


if __name__ == "__main__":
    unittest.main()
