"""Checks the values of all parameters against the template's section Rules, as CloudFormation would."""


def broken(rules, values):
    """Yields the description of each assertion that does not hold. `values` has every parameter of the template."""
    for rule in rules.values():
        if _holds(rule.get("RuleCondition", {"Fn::Equals": ["", ""]}), values):
            for assertion in rule["Assertions"]:
                if not _holds(assertion["Assert"], values):
                    yield assertion["AssertDescription"].strip()


def _holds(condition, values):
    [(function, arguments)] = condition.items()
    return _FUNCTIONS[function](arguments, values)


def _value(argument, values):
    return values[argument["Ref"]] if isinstance(argument, dict) else str(argument)


def _equals(arguments, values):
    one, other = (_value(each, values) for each in arguments)
    return one == other


def _contains(arguments, values):
    texts, text = arguments
    return _value(text, values) in [_value(each, values) for each in texts]


_FUNCTIONS = {
    "Fn::And": lambda arguments, values: all(_holds(each, values) for each in arguments),
    "Fn::Contains": _contains,
    "Fn::Equals": _equals,
    "Fn::Not": lambda arguments, values: not _holds(arguments[0], values),
    "Fn::Or": lambda arguments, values: any(_holds(each, values) for each in arguments),
}
