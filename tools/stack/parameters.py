"""Which values the parameters get, and which the stack keeps."""

import re

from .problem import Misuse

TOKEN, SECRET, KEY = "CoiledToken", "CoiledTokenSecretArn", "CoiledTokenKmsKeyArn"


def needs_token(settings, current):
    """Whether a token has to be pasted. `current` has the stack's parameters; it is empty for a new stack."""
    if settings.get(TOKEN) and settings.get(SECRET):
        raise Misuse(f"{TOKEN} and {SECRET} are both set.", "Set only one of them. The other is cleared automatically.")
    if settings.get(TOKEN):
        return True
    gives_up_secret = settings.get(SECRET) == "" and current.get(SECRET)
    return bool(gives_up_secret) or not current and not settings.get(SECRET)


def check_token(declared, token):
    """Rejects a text that the template would not accept as a token. CloudFormation would reject it after the build."""
    rule = declared[TOKEN]
    text = token.reveal()
    if not text or len(text) > int(rule["MaxLength"]) or not re.search(rule["AllowedPattern"], text):
        raise Misuse(f"This is not a token: {TOKEN} {rule['ConstraintDescription']}.")


def with_source(settings, token, current):
    """The settings with exactly one source for the token. The template rejects two sources, so the other is cleared."""
    settings = {name: value for name, value in settings.items() if name != TOKEN}
    if token is not None:
        return settings | {TOKEN: token.reveal(), SECRET: "", KEY: ""}
    if settings.get(SECRET) and current and not current.get(SECRET):
        return settings | {TOKEN: ""}
    return settings


def effective(declared, current, settings):
    """The values that all parameters will have. AWS shows a mask for a pasted token, even if there is none."""
    defaults = {name: str(definition.get("Default", "")) for name, definition in declared.items()}
    kept = {name: value for name, value in current.items() if name in declared}
    if current.get(SECRET):
        kept[TOKEN] = ""
    return defaults | kept | settings


def request(template, current, settings):
    """The parameters of a change set: new values, and the previous value of all others that the stack has.

    A parameter that is new in this release is left out, so that it gets its default.
    """
    new = [{"ParameterKey": name, "ParameterValue": value} for name, value in settings.items()]
    kept = [name for name in template if name in current and name not in settings]
    return new + [{"ParameterKey": name, "UsePreviousValue": True} for name in kept]


def differences(template, current, settings):
    """Yields a line for each parameter whose value changes. Values with NoEcho are not shown."""
    for name, value in settings.items():
        if template[name].get("NoEcho"):
            if value or current.get(name):
                yield f"{name}: {'a new value' if value else 'removed'}"
        elif current.get(name, str(template[name].get("Default", ""))) != value:
            yield f"{name}: {_shown(current.get(name))} → {_shown(value)}"


def of_stack(stack):
    """The parameters of a stack, by name."""
    return {p["ParameterKey"]: p.get("ParameterValue", "") for p in stack.get("Parameters", [])}


def _shown(value):
    return value if value else "(empty)"
