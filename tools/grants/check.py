"""Finds statements of a policy, or parts of them, that can never apply."""

from .arn import matches
from .reference import resource_types, type_of_key

_COMPARISONS = "Equals NotEquals LessThan LessThanEquals GreaterThan GreaterThanEquals".split()
# The types of keys that operators can compare. The operators for text accept any type.
OPERATORS = {
    **{f"String{name}": None for name in "Equals NotEquals EqualsIgnoreCase NotEqualsIgnoreCase Like NotLike".split()},
    **{f"Arn{name}": "ARN" for name in "Equals NotEquals Like NotLike".split()},
    **{f"{kind}{name}": kind for kind in ("Numeric", "Date") for name in _COMPARISONS},
    "BinaryEquals": "Binary",
    "Bool": "Bool",
    "IpAddress": "IPAddress",
    "NotIpAddress": "IPAddress",
    "Null": None,
}
_UNJUDGED = ("NotAction", "NotResource")


def problems(statement, reference):
    """The problems of a statement, as sentences."""
    unjudged = [f"{name} is used, which this check cannot judge" for name in _UNJUDGED if name in statement]
    patterns = [pattern for pattern in as_list(statement.get("Action", [])) if pattern != "*"]
    actions = {pattern: reference.actions(pattern) for pattern in patterns}
    unknown = [f"{pattern}: AWS has no such action" for pattern, found in actions.items() if not found]
    # A trust policy has no resources: it belongs to the role.
    if "Resource" not in statement:
        return unjudged + unknown
    dead = [f"{pattern}: {fault}" for pattern, found in actions.items() for fault in _fault(found, statement)]
    return unjudged + unknown + dead + list(_unused(statement, actions))


def as_list(value):
    """The elements of a policy are a list or a single value."""
    return value if isinstance(value, list) else [value]


def _fault(actions, statement):
    """The fault of the first action, if each of the actions that a pattern matches has a fault."""
    faults = [next(_faults(action, statement), None) for action in actions]
    return faults[:1] if all(faults) else []


def _faults(action, statement):
    resources = as_list(statement["Resource"])
    if not action.resource_types and "*" not in resources:
        yield 'does not support resource-level permissions and needs the resource "*"'
    elif action.resource_types and not resource_types(action, resources):
        forms = " or ".join(t.form for t in action.resource_types)
        yield f"never applies to {', '.join(resources)}; it needs {forms}"
    for operator, keys in statement.get("Condition", {}).items():
        for key in keys:
            yield from _fault_of_key(operator, key, type_of_key(key, action, resources))


def _fault_of_key(operator, key, kind):
    qualifier, _, plain = operator.rpartition(":")
    plain = plain if plain in OPERATORS else plain.removesuffix("IfExists")
    if plain not in OPERATORS or qualifier not in ("", "ForAnyValue", "ForAllValues"):
        yield f"IAM has no condition operator {operator}"
    elif kind is None:
        yield f"does not support the condition key {key}"
    elif plain == "Null":
        return
    elif kind.startswith("ArrayOf") and not qualifier:
        yield f"{key} has several values, so {operator} needs ForAnyValue: or ForAllValues:"
    elif (wanted := OPERATORS[plain]) and wanted != kind.removeprefix("ArrayOf"):
        yield f"{operator} cannot compare {key}, which is of type {kind}"


def _unused(statement, actions):
    """The resources that no action of the statement supports."""
    forms = [t.form for found in actions.values() for action in found for t in action.resource_types]
    for resource in as_list(statement["Resource"]):
        if resource != "*" and actions and not any(matches(resource, form) for form in forms):
            yield f"{resource}: no action of the statement supports this resource"
