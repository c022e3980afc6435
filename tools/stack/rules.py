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


def _equals(arguments, values):
    one, other = (values[each["Ref"]] if isinstance(each, dict) else str(each) for each in arguments)
    return one == other


_FUNCTIONS = {
    "Fn::And": lambda arguments, values: all(_holds(each, values) for each in arguments),
    "Fn::Equals": _equals,
    "Fn::Not": lambda arguments, values: not _holds(arguments[0], values),
    "Fn::Or": lambda arguments, values: any(_holds(each, values) for each in arguments),
}
