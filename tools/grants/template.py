"""Reads the policies of a CloudFormation template, with sample values in place of its parameters."""

import itertools
import re

from samcli.yamlhelper import yaml_parse

from .check import as_list

# The AWS GovCloud partition has the longest names.
_PSEUDO_PARAMETERS = {
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": "us-gov-west-1",
    "AWS::AccountId": "111122223333",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "sample",
}
_HERE = "us-gov-west-1:111122223333"
_SAMPLES = {
    "SecretArn": f"arn:aws-us-gov:secretsmanager:{_HERE}:secret:sample-AbCdEf",
    "KmsKeyArn": f"arn:aws-us-gov:kms:{_HERE}:key/sample",
    "BoundaryArn": "arn:aws-us-gov:iam::111122223333:policy/sample",
    "Path": "/sample/",
    "ProviderArn": "arn:aws-us-gov:iam::111122223333:oidc-provider/sample",
    "Readers": "everyone",
}
_ATTRIBUTES = {
    "AWS::IAM::Role.Arn": "arn:aws-us-gov:iam::111122223333:role/sample",
    "AWS::Logs::LogGroup.Arn": f"arn:aws-us-gov:logs:{_HERE}:log-group:sample:*",
    "AWS::S3::Bucket.Arn": "arn:aws-us-gov:s3:::sample",
    "AWS::SecretsManager::Secret.Id": _SAMPLES["SecretArn"],
    "AWS::Serverless::Function.Arn": f"arn:aws-us-gov:lambda:{_HERE}:function:sample",
}
_EXPANDED = {"AWS::Serverless::Function": "AWS::Lambda::Function"}
_NO_VALUE = object()


class Template:
    """A template and all policies in it."""

    def __init__(self, text):
        self.text = text
        self.tree = yaml_parse(text)
        self.resources = self.tree["Resources"]

    def types(self):
        """The resource types of the stack, as the SAM transform expands them."""
        return {_EXPANDED.get(resource["Type"], resource["Type"]) for resource in self.resources.values()}

    def policies(self):
        """Yields the logical ID of a resource and one of its policies, for all policies."""
        for name, resource in self.resources.items():
            for document in _documents(resource.get("Properties", {})):
                yield name, document

    def statements(self):
        """Yields a description and the resolved statement, for all statements under all conditions they depend on."""
        for name, document in self.policies():
            for number, statement in enumerate(as_list(document["Statement"]), 1):
                for resolved in self.variants(statement):
                    yield f"{name}, statement {resolved.get('Sid', number)}", resolved

    def variants(self, node):
        """A part of the template, resolved with each combination of parameters that its conditions can tell apart."""
        names = sorted(_parameters(node, self.tree.get("Conditions", {})))
        for values in itertools.product(*((self.default(name), self.sample(name)) for name in names)):
            resolved = _Resolver(self, dict(zip(names, values))).resolve(node)
            yield from (each for each in as_list(resolved) if each is not _NO_VALUE)

    def default(self, parameter):
        """The default value of a parameter; empty if it has none."""
        return str(self.tree["Parameters"][parameter].get("Default", ""))

    def sample(self, parameter):
        """A value that the template accepts for a parameter, of the maximum length if possible."""
        for ending, sample in _SAMPLES.items():
            if parameter.endswith(ending):
                return sample
        definition = self.tree["Parameters"][parameter]
        longest = self.default(parameter).ljust(definition.get("MaxLength", 0), "x")
        return longest if re.fullmatch(definition.get("AllowedPattern", ""), longest) else self.default(parameter)


def _children(node):
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _documents(node):
    if isinstance(node, dict) and "Statement" in node:
        yield node
    else:
        for child in _children(node):
            yield from _documents(child)


def _parameters(node, conditions):
    """The names of all parameters that the conditions in a part of a template depend on."""
    own = set()
    if isinstance(node, dict) and "Fn::If" in node:
        own = _references(conditions[node["Fn::If"][0]], conditions)
    return own.union(*(_parameters(child, conditions) for child in _children(node)))


def _references(condition, conditions):
    if isinstance(condition, dict) and "Ref" in condition:
        return {condition["Ref"]}
    if isinstance(condition, dict) and "Condition" in condition:
        return _references(conditions[condition["Condition"]], conditions)
    return set().union(*(_references(child, conditions) for child in _children(condition)))


class _Resolver:
    """Replaces intrinsic functions with sample values."""

    def __init__(self, template, parameters):
        self._template = template
        self._parameters = parameters

    def resolve(self, node):
        if isinstance(node, list):
            return [value for value in map(self.resolve, node) if value is not _NO_VALUE]
        if not isinstance(node, dict):
            return node
        function = next((f for f in _FUNCTIONS if f in node), None)
        if function and len(node) == 1:
            return _FUNCTIONS[function](self, node[function])
        values = {key: self.resolve(value) for key, value in node.items()}
        return {key: value for key, value in values.items() if value is not _NO_VALUE}

    def _if(self, arguments):
        name, yes, no = arguments
        return self.resolve(yes if self._holds(name) else no)

    def _holds(self, condition):
        return self.resolve(self._template.tree["Conditions"][condition])

    def _sub(self, arguments):
        text, names = arguments if isinstance(arguments, list) else (arguments, {})
        values = self.resolve(names)
        return re.sub(r"\$\{([^}!]+)\}", lambda found: values.get(found[1]) or self._name(found[1]), text)

    def _name(self, name):
        return self._get_att(name) if "." in name else self._ref(name)

    def _ref(self, name):
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in self._template.resources:
            return name
        known = self._parameters | _PSEUDO_PARAMETERS
        return known[name] if name in known else self._template.sample(name)

    def _get_att(self, target):
        name, _, attribute = (target if isinstance(target, str) else ".".join(target)).partition(".")
        return _ATTRIBUTES[f"{self._template.resources[name]['Type']}.{attribute}"]

    def _split(self, arguments):
        separator, text = arguments
        return self.resolve(text).split(separator)

    def _select(self, arguments):
        index, values = arguments
        return self.resolve(values)[int(index)]

    def _join(self, arguments):
        separator, values = arguments
        return separator.join(self.resolve(values))

    def _equals(self, arguments):
        one, other = self.resolve(arguments)
        return one == other


_FUNCTIONS = {
    "Condition": _Resolver._holds,
    "Ref": _Resolver._ref,
    "Fn::And": lambda resolver, arguments: all(resolver.resolve(arguments)),
    "Fn::Equals": _Resolver._equals,
    "Fn::GetAtt": _Resolver._get_att,
    "Fn::If": _Resolver._if,
    "Fn::Join": _Resolver._join,
    "Fn::Not": lambda resolver, arguments: not resolver.resolve(arguments)[0],
    "Fn::Or": lambda resolver, arguments: any(resolver.resolve(arguments)),
    "Fn::Select": _Resolver._select,
    "Fn::Split": _Resolver._split,
    "Fn::Sub": _Resolver._sub,
}
