"""Types SET as a person would, through bash and make, and checks which parameters result."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from samcli.yamlhelper import yaml_parse

from . import settings

PARAMETERS = yaml_parse(Path("template.yaml").read_text(encoding="utf-8"))["Parameters"]
SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:coiled-AbCdEf"
MAKE = os.environ.get("MAKE", "make")

# What a person types after `make update`, and what it means.
TYPED = [
    ("", {}),
    ("SET=", {}),
    ("SET=AttachSetupPolicy=false", {"AttachSetupPolicy": "false"}),
    ("SET='RotateKey=2026-11 Region=us-east-2'", {"RotateKey": "2026-11", "Region": "us-east-2"}),
    ("SET='  RotateKey=2026-11  '", {"RotateKey": "2026-11"}),
    # Spaces and quotes.
    ("SET='RotateKey=after the audit'", {"RotateKey": "after the audit"}),
    ("""SET='RotateKey="after the audit"'""", {"RotateKey": "after the audit"}),
    ('''SET="RotateKey='after the audit'"''', {"RotateKey": "after the audit"}),
    (
        r'''SET="RotateKey=\"after the audit\" Region=us-east-2"''',
        {"RotateKey": "after the audit", "Region": "us-east-2"},
    ),
    ('''SET=RotateKey="after the audit"''', {"RotateKey": "after the audit"}),
    ("SET=RotateKey=after\\ the\\ audit", {"RotateKey": "after the audit"}),
    ("SET='RotateKey=after the audit Region=us-east-2'", {"RotateKey": "after the audit", "Region": "us-east-2"}),
    ("""SET='RotateKey="a Region=b"'""", {"RotateKey": "a Region=b"}),
    ("""SET='RotateKey=" a "'""", {"RotateKey": " a "}),
    ("""SET='RotateKey=the "second" audit'""", {"RotateKey": 'the "second" audit'}),
    (r"""SET='RotateKey="the \"second\" audit"'""", {"RotateKey": 'the "second" audit'}),
    ("""SET='RotateKey=it'"'"'s'""", {"RotateKey": "it's"}),
    ("""SET="RotateKey=it's the users' key" """, {"RotateKey": "it's the users' key"}),
    ("""SET="RotateKey='say \\"hi\\"'" """, {"RotateKey": 'say "hi"'}),
    ("SET='RotateKey=a' REGION=us-east-2", {"RotateKey": "a"}),
    # An empty value.
    ("SET=RotateKey=", {"RotateKey": ""}),
    ("""SET='RotateKey="" Region=us-east-2'""", {"RotateKey": "", "Region": "us-east-2"}),
    ("SET='RotateKey= Region=us-east-2'", {"RotateKey": "", "Region": "us-east-2"}),
    ("SET='Region= us-east-2'", {"Region": "us-east-2"}),
    # Characters that mean something to make or to a shell.
    ("SET='RotateKey=a$b'", {"RotateKey": "a$b"}),
    ("SET='RotateKey=$(b) ${c} $$ $'", {"RotateKey": "$(b) ${c} $$ $"}),
    ("SET='RotateKey=$(shell exit) $(error no) $(b'", {"RotateKey": "$(shell exit) $(error no) $(b"}),
    ("SET='RotateKey=`exit` ; exit & | > x < y * ? ~ !'", {"RotateKey": "`exit` ; exit & | > x < y * ? ~ !"}),
    ("SET='RotateKey=a#b #c'", {"RotateKey": "a#b #c"}),
    ("SET='RotateKey=a=b==c'", {"RotateKey": "a=b==c"}),
    ("SET='RotateKey=a,b;c,d'", {"RotateKey": "a,b;c,d"}),
    ("SET='RotateKey=a:=b'", {"RotateKey": "a:=b"}),
    ("SET='RotateKey=[draft] {x}'", {"RotateKey": "[draft] {x}"}),
    (r"SET='RotateKey=C:\new\table'", {"RotateKey": r"C:\new\table"}),
    (r"""SET='RotateKey="C:\new\\table"'""", {"RotateKey": r"C:\new\table"}),
    ("SET='RotateKey=größer 世界'", {"RotateKey": "größer 世界"}),
    ("SET='RotateKey=100% %PATH% %s'", {"RotateKey": "100% %PATH% %s"}),
    ("SET='UserPath=/a,b/ UserName=a=b'", {"UserPath": "/a,b/", "UserName": "a=b"}),
    # JSON.
    (
        """SET='Tags=[{"Key": "team", "Value": "data science"}]'""",
        {"Tags": '[{"Key": "team", "Value": "data science"}]'},
    ),
    (
        r'''SET="Tags=[{\"Key\":\"a\",\"Value\":\"b\"}] AttachSetupPolicy=false"''',
        {"Tags": '[{"Key":"a","Value":"b"}]', "AttachSetupPolicy": "false"},
    ),
    ("""SET=Tags='[{"Key": "a", "Value": "b"}]'""", {"Tags": '[{"Key": "a", "Value": "b"}]'}),
    ("""SET="Tags='[{\\"Key\\": \\"a\\"}]'" """, {"Tags": '[{"Key": "a"}]'}),
    (r"""SET='Tags="[{\"Key\": \"a\"}]"'""", {"Tags": '[{"Key": "a"}]'}),
    (
        """SET='Tags=[{"Key": "a ] Region=b", "Value": "it'"'"'s \\" $x"}]'""",
        {"Tags": """[{"Key": "a ] Region=b", "Value": "it's \\" $x"}]"""},
    ),
    ("SET='Tags= RotateKey=1'", {"Tags": "", "RotateKey": "1"}),
    (
        """SET='Ingress=[{"Ports": ["8786"], "Cidr": "10.0.0.0/16"}]'""",
        {"Ingress": '[{"Ports": ["8786"], "Cidr": "10.0.0.0/16"}]'},
    ),
    # Several lines.
    ("SET='RotateKey=after the audit\nRegion=us-east-2\n'", {"RotateKey": "after the audit", "Region": "us-east-2"}),
    ("SET='RotateKey=a \\\n  Region=us-east-2'", {"RotateKey": "a", "Region": "us-east-2"}),
    ('SET="RotateKey=after \\\nthe audit"', {"RotateKey": "after the audit"}),
    ("SET=$'RotateKey=a \\\\\\r\\nRegion=us-east-2\\r\\n'", {"RotateKey": "a", "Region": "us-east-2"}),
    ("SET='Tags=[\n  {\"Key\": \"a\"}\n]\nRotateKey=1'", {"Tags": '[\n  {"Key": "a"}\n]', "RotateKey": "1"}),
    # The token's source.
    (f"SET=CoiledTokenSecretArn={SECRET}", {"CoiledTokenSecretArn": SECRET}),
    ("SET='CoiledToken=ask CoiledTokenSecretArn='", {"CoiledToken": "ask", "CoiledTokenSecretArn": ""}),
]


class Typed(unittest.TestCase):
    """Options, typed in bash."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        # Has the rules and options of the real Makefile, but prints SET instead of changing a stack.
        cls.makefile = cls.folder / "Makefile"
        cls.makefile.write_text("include Makefile\nstack = printenv SET_TEXT \\#\n", encoding="utf-8")

    def make(self, typed, target="update"):
        """Runs make as a shell would for this line."""
        # A make that runs this test must not pass its own options on.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        line = f'"$MAKE" --silent --file "$MAKEFILE" {target} {typed}'
        environment |= {"MAKE": MAKE, "MAKEFILE": str(self.makefile)}
        done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, check=False)
        # With text=True, Python would replace CRLF.
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def test_set_arrives_as_typed(self):
        for typed, expected in TYPED:
            with self.subTest(typed):
                code, printed, errors = self.make(typed)
                self.assertEqual((0, ""), (code, errors))
                self.assertEqual(expected, settings.parse(printed.removesuffix("\n"), PARAMETERS))

    def test_a_command_line_that_the_shell_has_split_is_rejected(self):
        for typed, expected in (
            ("SET=RotateKey=after the audit", "Did you put the value of SET in quotes?"),
            ('SET="RotateKey="after the audit""', "Did you put the value of SET in quotes?"),
            ("SET=AttachSetupPolicy=false Region=us-east-2", "no option Region"),
            ("STACKNAME=old", "no option STACKNAME"),
            ("COILED_TOKEN=abc", "must not be on it"),
        ):
            with self.subTest(typed):
                code, printed, errors = self.make(typed)
                self.assertNotEqual(0, code)
                self.assertIn(expected, errors)
                self.assertEqual("", printed)

    def test_publish_does_not_start_with_an_option_that_it_does_not_have(self):
        for typed, expected in (
            ("BUCKETS=list DRYRUN=1", "no option DRYRUN. Its options are BUCKETS DRY_RUN MIRROR."),
            ("list", "does not accept the argument list."),
        ):
            with self.subTest(typed):
                code, printed, errors = self.make(typed, target="publish")
                self.assertNotEqual(0, code)
                self.assertIn(expected, errors)
                self.assertNotIn("SET", errors)
                self.assertEqual("", printed)
