"""Checks a value against the template's definition of its parameter, as CloudFormation would."""

import difflib
import json
import re

# Stands for a token in SET: the program then asks for it, or reads COILED_TOKEN.
ASK = "ask"


def problems(name, value, parameters):
    """Yields what is wrong with a setting. A value with NoEcho is never repeated."""
    definition = parameters.get(name)
    if definition is None:
        yield _unknown(name, parameters)
    elif definition.get("NoEcho"):
        if value not in ("", ASK):
            yield _secret(name)
    elif not _is_allowed(value, definition):
        yield f"{name}: {excerpt(value)} is not one of {', '.join(map(str, definition['AllowedValues']))}."
    elif not _fits(value, definition):
        yield f"{name}: {excerpt(value)} {definition.get('ConstraintDescription', 'is not accepted by template.yaml')}"
    elif value and is_json(definition):
        yield from _json_problems(name, value)


def is_json(definition):
    """Whether a parameter holds JSON: it accepts a list, but not a word."""
    pattern = definition.get("AllowedPattern", "")
    return _matches(pattern, "[]") and not _matches(pattern, "x")


def not_json(name, text, error, position):
    """Describes why a text that should be JSON is not."""
    near = excerpt(text[max(0, position - 15) : position + 15])
    return f"{name}: this is not JSON ({error.msg}) near {near}. {_json_hint(text)}"


def excerpt(text, length=60):
    """The beginning of a text, in quotation marks."""
    return json.dumps(text if len(text) <= length else text[: length - 1] + "…", ensure_ascii=False)


def _unknown(name, parameters):
    by_lower_case = {known.lower(): known for known in parameters}
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    hint = f"Did you mean {by_lower_case[close[0]]}?" if close else "README.md lists all parameters."
    return f"{name} is not a parameter of template.yaml. {hint}"


def _secret(name):
    return (
        f"{name} must not be in SET, because every user of this machine can read a command line. Create a new token, "
        f"because this one may have been read. Write {name}={ASK} instead: then you are asked for it. Scripts set "
        "COILED_TOKEN in the environment, or use CoiledTokenSecretArn."
    )


def _is_allowed(value, definition):
    allowed = definition.get("AllowedValues")
    return allowed is None or value in map(str, allowed)


def _fits(value, definition):
    if definition.get("Type") == "Number" and not _is_between(value, definition):
        return False
    shortest, longest = (int(definition.get(key, limit)) for key, limit in (("MinLength", 0), ("MaxLength", 2**31)))
    pattern = definition.get("AllowedPattern")
    return shortest <= len(value) <= longest and (pattern is None or _matches(pattern, value))


def _is_between(value, definition):
    try:
        number = float(value)
    except ValueError:
        return False
    return float(definition.get("MinValue", "-inf")) <= number <= float(definition.get("MaxValue", "inf"))


def _matches(pattern, value):
    # CloudFormation uses Java's regular expressions, in which \d and \w mean ASCII.
    return re.fullmatch(pattern, value, re.ASCII) is not None


def _json_problems(name, value):
    try:
        json.loads(value)
    except json.JSONDecodeError as error:
        yield not_json(name, value, error, error.pos)


def _json_hint(text):
    if '"' not in text and "'" not in text:
        return "The shell has removed the quotes: put single quotes around all of SET."
    if '\\"' in text:
        return "Between single quotes, write the double quotes without backslashes."
    return "Names and strings in JSON need double quotes."
