"""Mistakes in SET, and the rules of the template. test_make.py has the valid settings."""

import unittest
from pathlib import Path

from samcli.yamlhelper import yaml_parse

from . import rules, settings, values

TEMPLATE = yaml_parse(Path("template.yaml").read_text(encoding="utf-8"))
PARAMETERS = TEMPLATE["Parameters"]
SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:coiled-AbCdEf"

# What a person mistypes, and what the message must contain.
WRONG = [
    ("Regoin=us-east-2", "Regoin is not a parameter of template.yaml. Did you mean Region?"),
    ("region=us-east-2", "Did you mean Region?"),
    ("attach-setup-policy=false", "Did you mean AttachSetupPolicy?"),
    ("RotateKey=a Attach_Setup_Policy=false", "Did you mean AttachSetupPolicy?"),
    ("ParameterKey=Region,ParameterValue=x", "ParameterKey is not a parameter"),
    ("Color=red", "README.md lists all parameters"),
    ("Region=us-east-1 Region=us-east-2", "Region is set twice"),
    ("AttachSetupPolicy", "Expected Name=value"),
    ("Region = us-east-2", "without spaces around ="),
    ("RotateKey=a AttachSetupPolicy = false", "AttachSetupPolicy is not followed by ="),
    ("RotateKey=2026-11 AttachSetupPolicy", "AttachSetupPolicy is not followed by ="),
    ("RotateKey=2026-11, Region=us-east-2", "RotateKey ends with ,"),
    ("RotateKey=after\nthe audit", "Expected Name=value"),
    # Unbalanced quotes.
    ('RotateKey="after the audit', 'RotateKey: a quote " has no closing "'),
    ("RotateKey='after the audit", "RotateKey: a quote ' has no closing '"),
    ('RotateKey=after the "audit', 'RotateKey: a quote " has no closing "'),
    ('RotateKey=audit" Region=us-east-2', 'RotateKey: a quote " has no closing "'),
    ("RotateKey=after 'the audit", "RotateKey: a quote ' has no closing '"),
    ('RotateKey="after Region=us-east-2', 'RotateKey: a quote " has no closing "'),
    ('RotateKey="after"noon', 'RotateKey: the closing " must be followed by a space'),
    # JSON.
    ("Tags=[{Key: a, Value: b}]", "The shell has removed the quotes"),
    (r'Tags=[{\"Key\": \"a\"}]', "without backslashes"),
    ("Tags=[{'Key': 'a'}]", "need double quotes"),
    ('Tags=[{"Key": "a"}', "Tags: this is not JSON"),
    ("Tags='[{]'", "Tags: this is not JSON"),
    ('Tags=[{"Key": "a"}]x', "Tags: the end of the JSON must be followed by a space"),
    ("Tags=team", "Tags: \"team\" must be a JSON list"),
    # Values that the template does not accept.
    ("AttachSetupPolicy=False", 'AttachSetupPolicy: "False" is not one of true, false.'),
    ("PolicyProfile=hardened", 'PolicyProfile: "hardened" is not one of standard.'),
    ("LogRetentionInDays=31", 'LogRetentionInDays: "31" is not one of 1, 3, 5,'),
    ("Region=Frankfurt", 'Region: "Frankfurt" must be the code of an AWS region'),
    ("Region=us-east-1,", "must be the code of an AWS region"),
    ("Region=us-east-1\u0663", "must be the code of an AWS region"),
    ("RotateKey=" + "x" * 257, "must be at most 256 characters long"),
    ("UserName=", 'UserName: "" must be 1 to 56 characters long'),
    ("CoiledTokenSecretArn=coiled-token", "must be the full ARN of a secret"),
    # All problems at once.
    ("Region=Frankfurt Color=red", "must be the code of an AWS region, for example us-east-2\nColor is not"),
]


class Wrong(unittest.TestCase):
    """Texts that are rejected."""

    def message(self, text):
        with self.assertRaises(settings.Wrong) as raised:
            settings.parse(text, PARAMETERS)
        return str(raised.exception)

    def test_a_mistake_is_named(self):
        for text, expected in WRONG:
            with self.subTest(text):
                self.assertIn(expected, self.message(text))

    def test_a_token_is_rejected_and_never_repeated(self):
        for text in ("CoiledToken=s3cret", 'CoiledToken="s3cret" x', "CoiledTokn=s3cret", 'CoiledToken="s3cret'):
            with self.subTest(text):
                self.assertNotIn("s3cret", self.message(text))
        self.assertIn("must not be in SET", self.message("CoiledToken=s3cret"))
        self.assertNotIn("s3cret", self.message("longer-s3cret"))

    def test_the_defaults_of_the_template_are_accepted(self):
        for name, definition in PARAMETERS.items():
            with self.subTest(name):
                default = str(definition["Default"])
                self.assertEqual({name: default}, settings.parse(f"{name}={default}", PARAMETERS))


    def test_limits_that_the_template_does_not_use_yet_are_supported(self):
        for definition, good, bad in (
            ({"Type": "Number", "MinValue": 1, "MaxValue": 3}, ("1", "2.5", "3"), ("0", "4", "x", "", "nan")),
            ({"Type": "String", "MinLength": "2", "MaxLength": "3"}, ("ab", "abc"), ("a", "abcd")),
        ):
            for value in good + bad:
                with self.subTest(value):
                    found = list(values.problems("Name", value, {"Name": definition}))
                    self.assertEqual(value in bad, bool(found), found)


class Rules(unittest.TestCase):
    """The rules of the template."""

    def broken(self, **values):
        defaults = {name: str(definition["Default"]) for name, definition in PARAMETERS.items()}
        return list(rules.broken(TEMPLATE["Rules"], defaults | values))

    def test_all_rules_hold_with_one_source_of_the_token(self):
        self.assertEqual([], self.broken(CoiledToken="a"))
        self.assertEqual([], self.broken(CoiledTokenSecretArn=SECRET, CoiledTokenKmsKeyArn="arn"))
        self.assertEqual([], self.broken(CoiledToken="a", NetworkId="vpc-123", WorkerSubnetId="subnet-123"))

    def test_each_rule_of_the_template_can_be_broken(self):
        faults = [
            ("OneTokenSource", {}),
            ("OneTokenSource", {"CoiledToken": "a", "CoiledTokenSecretArn": SECRET}),
            ("KeyNeedsItsSecret", {"CoiledToken": "a", "CoiledTokenKmsKeyArn": "arn"}),
            ("DockerHubKeyNeedsItsSecret", {"CoiledToken": "a", "DockerHubTokenKmsKeyArn": "arn"}),
            ("DockerHubNeedsUserAndToken", {"CoiledToken": "a", "Registry": "docker_hub"}),
            (
                "TwoSecrets",
                {
                    "CoiledTokenSecretArn": SECRET,
                    "Registry": "docker_hub",
                    "DockerHubUsername": "a",
                    "DockerHubTokenSecretArn": SECRET,
                },
            ),
            ("DockerHubOnly", {"CoiledToken": "a", "DockerHubUsername": "a"}),
            ("SubnetsNeedTheirNetwork", {"CoiledToken": "a", "FirewallId": "sg-123"}),
        ]
        self.assertEqual(TEMPLATE["Rules"].keys(), {rule for rule, _ in faults})
        for rule, values in faults:
            with self.subTest(rule):
                [assertion] = TEMPLATE["Rules"][rule]["Assertions"]
                self.assertEqual([assertion["AssertDescription"].strip()], self.broken(**values))
