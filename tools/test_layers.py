"""The modules of src/ form layers. A module imports only from itself and from lower layers."""

import re
import unittest
from pathlib import Path

SRC = Path(__file__).resolve().parent.parent / "src"

# From the lowest layer to the highest. Modules of one layer do not import each other.
LAYERS = [
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
]
# The parts of these two modules form layers too, in the same order.
PARTS = {
    "reconcile": [
        ["link", "step"],
        ["journal", "plan"],
        ["decide", "refusals"],
        ["preflight"],
        ["run"],
        ["apply", "undo"],
    ],
    "delete": [["find"], ["access", "user", "restore"], ["blockers", "unrecorded"], ["deregister"], ["plan"]],
}


def imports(source, text):
    """The first two modules of each path that begins with `crate::` or `super::`. Ignores comments and unit tests."""
    code = re.split(r"\n#\[cfg\(test\)\]\nmod tests", text)[0]
    code = "\n".join(line for line in code.splitlines() if not line.lstrip().startswith("//"))
    parent = source.split("/")[:-1]
    found = re.findall(r"\bcrate::(\w+)(?:::(\w+))?", code)
    if len(parent) == 1:
        found += [(parent[0], part) for part in re.findall(r"\bsuper::(\w+)", code)]
    return found


def rank(layers):
    return {module: number for number, modules in enumerate(layers) for module in modules}


def upward(source, text):
    """The imports of a file, given by its path below src/, that do not point to a lower layer."""
    top, *rest = source.removesuffix(".rs").split("/")
    layers, parts = rank(LAYERS), rank(PARTS.get(top, []))
    part = rest[0] if rest else None
    for module, inner in imports(source, text):
        if module != top and layers[module] >= layers[top]:
            yield f"{source} imports {module}"
        if module == top and inner in parts and inner != part and part in parts and parts[inner] >= parts[part]:
            yield f"{source} imports {top}::{inner}"


class Layers(unittest.TestCase):
    def test_no_import_points_to_a_higher_layer(self):
        files = {str(path.relative_to(SRC)): path.read_text() for path in SRC.rglob("*.rs")}
        checked = {name: text for name, text in files.items() if name not in ("lib.rs", "main.rs") and "tests" not in name}
        self.assertGreater(len(checked), 60)
        self.assertEqual([found for name, text in checked.items() for found in upward(name, text)], [])

    def test_each_module_has_a_layer(self):
        modules = {path.stem for path in SRC.iterdir()} - {"lib", "main"}
        self.assertEqual(modules, {module for layer in LAYERS for module in layer})

    def test_an_upward_import_is_found(self):
        self.assertEqual(list(upward("aws/sts.rs", "use crate::resource::lease::Lease;\n")), ["aws/sts.rs imports resource"])
        self.assertEqual(
            list(upward("reconcile/undo.rs", "use crate::reconcile::apply;\n")), ["reconcile/undo.rs imports reconcile::apply"]
        )
        self.assertEqual(list(upward("handler.rs", "use crate::delete;\n// crate::main\n")), [])


if __name__ == "__main__":
    unittest.main()
