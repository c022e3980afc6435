"""Reads SET, the parameters that a person types after `make deploy` and `make update`.

SET is a series of settings `Name=value`, separated by spaces or line breaks:

- A value ends where the next ` Name=` begins, or at the end of its line: `RotateKey=after the audit Region=us-east-2`.
- A value that begins with ' or " ends with the same quote. Between double quotes, \\" is a quote and \\\\ a backslash.
- The value of a JSON parameter ends where the JSON ends.

Nothing else in a value has a special meaning: spaces, commas, =, $, #, backslashes and inner quotes are part of it.
"""

import json
import re

from . import values

_START = re.compile(r"([\w.-]+)=[ \t]*")
_PLAIN = re.compile(r".*?(?=\s+[\w.-]+=|\s*$)", re.MULTILINE)
_QUOTED = {"'": re.compile(r"'([^']*)'"), '"': re.compile(r'"((?:[^"\\]|\\.)*)"')}
_END = re.compile(r"\s|\Z")


class Wrong(Exception):
    """SET cannot be understood, or the template does not accept it. The message has one line per problem."""


def parse(text, parameters):
    """The settings by name, in the order they were typed. `parameters` are the template's."""
    found = {}
    problems = []
    for name, value in _settings(text, parameters):
        if name in found:
            problems.append(f"{name} is set twice.")
        found[name] = value
        problems += values.problems(name, value, parameters)
    if problems:
        raise Wrong("\n".join(problems))
    return found


def _settings(text, parameters):
    # As in a shell, a backslash at the end of a line continues the text on the next line.
    text = text.replace("\r\n", "\n").replace("\\\n", "\n")
    position = _after_spaces(text, 0)
    while position < len(text):
        start = _START.match(text, position)
        if not start:
            # Only its beginning is shown, because it may be a token.
            found = values.excerpt(text[position:], length=12)
            raise Wrong(f"Expected Name=value, without spaces around =, but found {found}.")
        name = start[1]
        value, position = _value(name, text, start, parameters)
        yield name, value
        position = _after_spaces(text, position)


def _value(name, text, start, parameters):
    opening = text[start.end() : start.end() + 1]
    if opening in _QUOTED:
        return _quoted(name, text, start.end())
    if opening in ("[", "{") and values.is_json(parameters.get(name, {})):
        return _json(name, text, start.end())
    return _plain(name, text, start.end(1) + 1, parameters)


def _quoted(name, text, position):
    quote = text[position]
    found = _QUOTED[quote].match(text, position)
    if not found:
        raise _unbalanced(name, quote)
    _check_end(name, text, found.end(), f"the closing {quote}")
    value = re.sub(r'\\(["\\])', r"\1", found[1]) if quote == '"' else found[1]
    return value, found.end()


def _json(name, text, position):
    try:
        _, end = json.JSONDecoder().raw_decode(text, position)
    except json.JSONDecodeError as error:
        raise Wrong(values.not_json(name, text[position:], error, error.pos - position)) from None
    _check_end(name, text, end, "the end of the JSON")
    return text[position:end], end


def _plain(name, text, position, parameters):
    found = _PLAIN.match(text, position)
    value = found[0].strip()
    for quote, opened, closed in (
        ('"', (value.count('"') + 1) // 2, value.count('"') // 2),
        # An apostrophe, as in it's or users', does not open a quotation.
        ("'", len(re.findall(r"(?<!\S)'", value)), len(re.findall(r"'(?!\S)", value))),
    ):
        if opened > closed:
            raise _unbalanced(name, quote)
    without_equals = [word for word in value.split()[1:] if word in parameters]
    if without_equals:
        raise Wrong(f"{without_equals[0]} is not followed by =. If it belongs to the value of {name}: {_QUOTE_IT}")
    if value.endswith((",", ";")) and text[found.end() :].strip():
        raise Wrong(f"{name} ends with {value[-1]}, but only spaces separate settings. If intended: {_QUOTE_IT}")
    return value, found.end()


def _check_end(name, text, position, what):
    if not _END.match(text, position):
        raise Wrong(f"{name}: {what} must be followed by a space or by the end of SET.")


def _unbalanced(name, quote):
    return Wrong(f"{name}: a quote {quote} has no closing {quote}. If it is part of the value: {_QUOTE_IT}")


_QUOTE_IT = "put the value in the other kind of quotes, such as SET='RotateKey=\"a value\"'"


def _after_spaces(text, position):
    return len(text) - len(text[position:].lstrip())
