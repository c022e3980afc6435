"""Adds the entries of one YAML text to another one, as text, so that the comments of both remain.

CloudFormation's templates use only a part of YAML: block mappings and sequences, indented by two spaces, with scalars
and flow collections in them. Both texts indent the same entry by the same number of spaces.
"""

from dataclasses import dataclass

import yaml


class Wrong(Exception):
    """The two texts do not fit together."""


def weave(text, addition):
    """Adds every entry of `addition` to `text`.

    If both have a mapping or a sequence under the same key, its entries are added to those of the text. Any other entry
    replaces the text's entry. A new entry is put in front of the next one that both have, or at the end.
    """
    source, added = _Text(text), _Text(addition)
    edits = list(_merge(source.root, added.root, source, added))
    return source.edited(edits)


def remove(text, path):
    """Removes the entry at a path, such as ("Resources", "Function"), and the comment above it."""
    source = _Text(text)
    mapping = source.root
    for key in path[:-1]:
        mapping = _entry(mapping, key).value
    entry = _entry(mapping, path[-1])
    first, last = source.span(entry)
    return source.edited([_Edit(first, last, [])])


@dataclass(frozen=True)
class _Edit:
    """Replaces the lines from `first` up to, but not including, `last`."""

    first: int
    last: int
    lines: list


@dataclass(frozen=True)
class _Entry:
    """A key and its value, or an item of a sequence, whose key is None."""

    key: str | None
    value: yaml.Node
    line: int
    column: int


class _Text:
    """A YAML text, as lines and as nodes that know their lines."""

    def __init__(self, text):
        self.lines = text.splitlines()
        self.root = yaml.compose(text, Loader=yaml.SafeLoader)

    def span(self, entry):
        """The lines of an entry, from the comment above it to its last line."""
        return self._comment(entry), self._end(entry)

    def text_of(self, entry):
        """The lines of an entry and of the comment above it."""
        first, last = self.span(entry)
        return self.lines[first:last]

    def spaced(self, node):
        """Whether blank lines separate the entries of a collection."""
        return any(not self.lines[self._comment(entry) - 1].strip() for entry in _entries(node)[1:])

    def edited(self, edits):
        """The text after some edits, which refer to the original lines."""
        lines = list(self.lines)
        # From the last line to the first one, so that line numbers stay valid. Insertions into the same line keep their
        # order.
        for edit in reversed(sorted(edits, key=lambda edit: edit.first)):
            lines[edit.first : edit.last] = edit.lines
        return "\n".join(lines) + "\n"

    def _comment(self, entry):
        first = entry.line
        while first and self.lines[first - 1].startswith(" " * entry.column + "#"):
            first -= 1
        return first

    def _end(self, entry):
        """The line after the entry's last line. Comments and blank lines after a block belong to the next entry."""
        last = entry.line + 1
        for number in range(last, len(self.lines)):
            line = self.lines[number]
            indent = len(line) - len(line.lstrip())
            if line.strip() and (indent < entry.column or indent == entry.column and not _continues(line, entry)):
                break
            if line.strip():
                last = number + 1
        return last


def _continues(line, entry):
    # A sequence may be as far to the left as its key.
    return entry.key is not None and line.lstrip().startswith("- ")


def _merge(node, other, source, added):
    """Yields the edits that add the entries of one collection to another one."""
    if isinstance(node, yaml.SequenceNode):
        yield _insertion([line for item in _entries(other) for line in added.text_of(item)], None, node, source)
        return
    present = {entry.key: entry for entry in _entries(node)}
    entries = _entries(other)
    for position, entry in enumerate(entries):
        if entry.key not in present:
            following = next((present[e.key] for e in entries[position:] if e.key in present), None)
            yield _insertion(added.text_of(entry), following, node, source)
        elif _is_block(entry.value) and _is_block(present[entry.key].value):
            yield from _merge(present[entry.key].value, entry.value, source, added)
        else:
            yield _Edit(*source.span(present[entry.key]), added.text_of(entry))


def _insertion(lines, following, node, source):
    blank = [""] if source.spaced(node) else []
    if following:
        first, _ = source.span(following)
        return _Edit(first, first, lines + blank)
    _, end = source.span(_entries(node)[-1])
    return _Edit(end, end, blank + lines)


def _is_block(node):
    return isinstance(node, yaml.CollectionNode) and not node.flow_style


def _entries(node):
    if isinstance(node, yaml.SequenceNode):
        # The item's own mark is behind its hyphen.
        return [_Entry(None, each, each.start_mark.line, each.start_mark.column - 2) for each in node.value]
    return [_Entry(k.value, v, k.start_mark.line, k.start_mark.column) for k, v in node.value]


def _entry(mapping, key):
    found = [entry for entry in _entries(mapping) if entry.key == key]
    if not found:
        raise Wrong(f"The template has no entry {key}.")
    return found[0]
