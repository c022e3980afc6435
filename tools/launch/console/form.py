"""The form that the console makes of a template: its parameters by group, with their labels."""

# The console's own words for parameters that AWS::CloudFormation::Interface does not name.
OTHER = "Other parameters"


def form(template):
    """The description and the groups of fields of a parsed template."""
    interface = template.get("Metadata", {}).get("AWS::CloudFormation::Interface", {})
    labels = interface.get("ParameterLabels", {})
    groups = [
        {"label": group["Label"]["default"], "fields": [_field(name, template, labels) for name in group["Parameters"]]}
        for group in [*interface.get("ParameterGroups", []), *_other(template, interface)]
    ]
    return {"description": template.get("Description", ""), "groups": groups}


def _other(template, interface):
    named = {name for group in interface.get("ParameterGroups", []) for name in group["Parameters"]}
    rest = [name for name in template["Parameters"] if name not in named]
    return [{"Label": {"default": OTHER}, "Parameters": rest}] if rest else []


def _field(name, template, labels):
    # A group that names an unknown parameter is an error of the template, and fails here.
    parameter = template["Parameters"][name]
    return {
        "name": name,
        "label": labels.get(name, {}).get("default", name),
        "description": parameter.get("Description", ""),
        "default": str(parameter.get("Default", "")),
        "hidden": str(parameter.get("NoEcho", "")).lower() == "true",
        "choices": [str(value) for value in parameter.get("AllowedValues", [])],
    }
