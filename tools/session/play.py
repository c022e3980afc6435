"""The steps of the session, each with the checks that must pass after it."""

import contextlib
import os
import signal

from demo.account import Account
from demo.servers import TOKEN, WORKSPACE, tail

from .terminal import Terminal

WRONG_TOKEN = "revoked-canary"
_REGION = "us-east-1"
_NAME = "coiled"
# bash, make and the commands that they start: a token that a person exports reaches them before it reaches the program.
_BEFORE_THE_PROGRAM = {"awk", "bash", "cat", "cksum", "make", "python", "python3", "sh", "tr"}
_SECRET_NAME = "token-of-coiled"


class Play:
    """One stack from its deployment to its deletion. A step's title and text are its docstring, also in the page."""

    def __init__(self, servers, report, transcript, folder):
        self._servers = servers
        self._report = report
        self._transcript = transcript
        self._folder = folder
        self._home = servers.folder / "home"
        self._terminal = Terminal(folder, self._environment(), [TOKEN, WRONG_TOKEN])
        self._account = Account(servers.aws_url)
        self._before = None
        self._samconfig = (folder / "samconfig.toml").read_bytes()
        self._server = f"CoiledServer={servers.coiled_url}"

    def run(self):
        """Runs all steps. Each one needs the stack as the step before left it, so a failed check ends the session."""
        self._sign_in()
        for step in (
            self.without_a_terminal,
            self.wrong_token,
            self.no_consent,
            self.deploy,
            self.status,
            self.update,
            self.nothing_to_change,
            self.own_secret,
            self.pasted_again,
            self.interrupt,
            self.script,
            self.keep,
            self.delete,
            self.afterwards,
        ):
            title, _, text = step.__doc__.partition("\n\n")
            self._transcript.section(title, "\n".join(line.strip() for line in text.strip().splitlines()))
            with self._report.step(step.__name__, title):
                step()
            if not self._report.all_passed:
                return

    def without_a_terminal(self):
        """Without a terminal

        Nobody can answer questions here, so the command stops before it does anything.
        """
        typed = self._type("make deploy </dev/null")
        self._expect(typed, 2, "This is not a terminal", "YES=1", "Nothing was built or changed.")
        log = self._servers.log("coiled")
        self._check("Coiled received no request", "/api/" not in log, log)

    def wrong_token(self):
        """A wrong token

        The token is not shown. Coiled rejects it before anything is built. Enter accepts the AWS profile's region.
        """
        with self._typing(f"make deploy SET={self._server}") as typed:
            self._answer_deploy(typed, WRONG_TOKEN)
        self._expect(typed, 2, "rejected the token", "Nothing was built or changed.")
        self._nothing_built()

    def no_consent(self):
        """No consent

        Before it asks, the command shows what it would create. Any answer other than `y` ends the command.
        """
        with self._typing(f"make deploy SET={self._server}") as typed:
            self._answer_deploy(typed, TOKEN)
            typed.answer("Create this? [y/n] (n): ", "n")
        self._expect(typed, 2, "You did not consent.", "Nothing was built or changed.", "the IAM user coiled")
        self._nothing_built()

    def deploy(self):
        """Deploy

        While CloudFormation works, each stack event is shown as one line.
        """
        with self._typing(f"make deploy SET={self._server}") as typed:
            self._answer_deploy(typed, TOKEN)
            typed.answer("Create this? [y/n] (n): ", "y")
        texts = ["Connection             CREATE_COMPLETE", "is deployed", f"--workspace {WORKSPACE}"]
        if not self._expect(typed, 0, *texts):
            return
        self._check("sam build and sam package did run", {"sam", "cargo"} <= typed.watch.names, typed.watch.names)
        self._check("the terminal had colors", b"\x1b[1m" in typed.raw)
        user = self._account.user()
        self._check("the user has one key, which Coiled holds", self._is_registered(user), user)

    def status(self):
        """Status

        Nothing is asked, and nothing is changed.
        """
        typed = self._type("make status")
        texts = ["CREATE_COMPLETE", "Active, less than a day old", "is connected to AWS, region us-east-1"]
        self._expect(typed, 0, *texts)
        rows = sum(1 + len(line) // 120 for line in typed.text.splitlines())
        self._check("the status fits on a screen of 120 columns and 30 rows", rows <= 30, rows)
        for line, variables in (("make status", {"NO_COLOR": "1"}), ("make status | cat", {})):
            plain = self._run(line, **variables)
            self._check(f"{line} prints no colors with {variables or 'a pipe'}", b"\x1b" not in plain.raw, plain.raw)
            self._check("only the colors differ", plain.text == typed.text, plain.text)

    def update(self):
        """Update

        `SET` is read as typed. These values contain spaces, quotes and JSON.
        """
        old = self._account.user()
        tags = '[{"Key": "team", "Value": "data and AI"}]'
        line = f"""make update SET='RotateKey="after the audit" AttachSetupPolicy=false Tags={tags}'"""
        with self._typing(line) as typed:
            typed.answer("Make these changes? [y/n] (n): ", "y")
        texts = ["RotateKey: (empty) → after the audit", "AttachSetupPolicy: true → false", "is updated"]
        self._expect(typed, 0, *texts)
        user = self._account.user()
        self._check("the user has the tag as typed", user["tags"].get("team") == "data and AI", user["tags"])
        self._check("the setup policy is detached", user["attached"] == ["coiled-ongoing"], user["attached"])
        is_new = user["keys"] != old["keys"]
        self._check("the key is a new one, which Coiled holds", is_new and self._is_registered(user), user)

    def nothing_to_change(self):
        """Nothing to change

        The command succeeds.
        """
        typed = self._type("make update")
        self._expect(typed, 0, "There is nothing to change")

    def own_secret(self):
        """Your own secret

        After this update, the stack reads the token from your secret. The secret that it had created is deleted.
        """
        secrets = self._account.client("secretsmanager")
        arn = secrets.create_secret(Name=_SECRET_NAME, SecretString=TOKEN)["ARN"]
        with self._without_change_of_the_key():
            with self._typing(f"make update SET=CoiledTokenSecretArn={arn}") as typed:
                typed.answer("Make these changes? [y/n] (n): ", "y")
            self._expect(typed, 0, "CoiledToken: removed", f"CoiledTokenSecretArn: (empty) → {arn}", "is updated")
        left = self._secret_names()
        self._check("only your own secret is left", left == [_SECRET_NAME], left)

    def pasted_again(self):
        """Back to a pasted token

        The command asks for the token, and checks it with Coiled.
        """
        with self._without_change_of_the_key():
            with self._typing("make update SET=CoiledToken=ask") as typed:
                typed.answer_hidden(self._question(), TOKEN)
                typed.answer("Make these changes? [y/n] (n): ", "y")
            self._expect(typed, 0, "CoiledToken: a new value", "→ (empty)", "is updated")
        left = self._secret_names()
        self._check("the stack has a secret again, next to yours", len(left) == 2 and _SECRET_NAME in left, left)

    def interrupt(self):
        """Ctrl-C

        Ctrl-C ends only the display. CloudFormation continues.
        """
        # Until the stand-in continues, the update cannot end.
        stand_in = self._servers.pid("coiled")
        os.kill(stand_in, signal.SIGSTOP)
        try:
            with self._typing("make update SET=RotateKey=again") as typed:
                typed.answer("Make these changes? [y/n] (n): ", "y")
                typed.expect_above_spinner("Connection             UPDATE_IN_PROGRESS")
                typed.interrupt()
        finally:
            os.kill(stand_in, signal.SIGCONT)
        texts = ["Interrupted.", "CloudFormation continues the update in AWS.", f"make status REGION={_REGION}"]
        if not self._expect(typed, 130, *texts):
            return
        waiter = self._account.client("cloudformation").get_waiter("stack_update_complete")
        waiter.wait(StackName=_NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
        self._expect(self._type(f"make status REGION={_REGION}"), 0, "UPDATE_COMPLETE")

    def script(self):
        """In a script

        `YES=1` consents. Nothing is asked, and a pipe turns colors off.
        """
        with self._typing("make update SET=RotateKey=monthly YES=1 </dev/null | cat", COILED_TOKEN=TOKEN) as typed:
            pass
        self._expect(typed, 0, "RotateKey: again → monthly", "is updated", token_in=_BEFORE_THE_PROGRAM)
        self._check("a pipe turns colors off", b"\x1b" not in typed.raw)

    def keep(self):
        """Delete, but not yet

        The command shows what it would delete, and what remains.
        """
        before = self._account.everything()
        with self._typing("make delete") as typed:
            typed.answer("Delete this? [y/n] (n): ", "")
        self._expect(typed, 2, "Connection, Custom::CoiledConnection", "You did not consent.")
        self._check("nothing was deleted", self._account.everything() == before)

    def delete(self):
        """Delete

        The command follows the deletion to its end.
        """
        with self._typing("make delete") as typed:
            typed.answer("Delete this? [y/n] (n): ", "y")
        self._expect(typed, 0, "Connection             DELETE_COMPLETE", "The stack coiled is deleted")

    def afterwards(self):
        """Afterwards

        The stack no longer exists in any region.
        """
        typed = self._type("make status")
        self._expect(typed, 2, "There is no stack coiled in us-east-1")
        self._account.client("secretsmanager").delete_secret(SecretId=_SECRET_NAME, ForceDeleteWithoutRecovery=True)
        left, check = self._account.everything(), self._check
        check("the account is as it was before the stack", left == self._before, left)
        check("Coiled has no registration", self._servers.registration() is None, self._servers.registration())
        check("the function's code is deleted from SAM's bucket", not self._code(), self._code())
        log = self._servers.log("coiled")
        check("Coiled received only valid requests", "VIOLATION" not in log, tail(log))
        found = self._files_with_a_token()
        check("no file of the checkout, of SAM or in TMPDIR contains a token", not found, found)

    def _environment(self):
        """The environment of a person who has signed in with the AWS CLI."""
        environment = self._servers.environment()
        # The region and the credentials are in the profile, and a person's terminal has colors.
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "NO_COLOR"):
            del environment[name]
        # For sam build, which runs cargo. `make build` has already downloaded the crates.
        environment |= {name: os.environ[name] for name in ("HOME", "PYTHON", "RUSTUP_HOME") if name in os.environ}
        environment |= {name: value for name, value in os.environ.items() if name.startswith("CARGO_")}
        return environment | {
            "AWS_CONFIG_FILE": str(self._home / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self._home / "credentials"),
            "__SAM_CLI_APP_DIR": str(self._home / "sam"),
            "CARGO_NET_OFFLINE": "true",
            "TMPDIR": str(self._home),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        }

    def _sign_in(self):
        (self._home / "config").write_text(f"[default]\nregion = {_REGION}\n")
        (self._home / "credentials").write_text("[default]\naws_access_key_id = test\naws_secret_access_key = test\n")
        self._account.iam.create_account_alias(AccountAlias="example-team")
        self._before = self._account.everything()

    def _run(self, line, **variables):
        """Types a line that asks nothing."""
        with self._terminal.type(line, **variables) as typed:
            pass
        return typed

    def _type(self, line):
        """Types a line that asks nothing, and adds it to the transcript."""
        with self._typing(line) as typed:
            pass
        return typed

    @contextlib.contextmanager
    def _typing(self, line, **variables):
        """Types a line whose questions the block answers, and adds it to the transcript."""
        typed = None
        try:
            with self._terminal.type(line, **variables) as typed:
                yield typed
        finally:
            self._transcript.command(line, typed.text if typed else "")

    def _question(self):
        return f"API token for {self._servers.coiled_url} (hidden): "

    def _answer_deploy(self, typed, token):
        typed.answer(f"AWS region ({_REGION}): ")
        typed.answer_hidden(self._question(), token)

    def _check(self, expectation, passed, details=""):
        return self._report.check(expectation, passed, details)

    def _expect(self, typed, code, *texts, token_in=()):
        """Checks how a command ended, what it printed, and that no token was shown."""
        command = typed.line.split(" SET=")[0]
        missing = [text for text in texts if text not in typed.text]
        details = f"{typed.code}, without {missing}:\n{typed.text}"
        passed = self._check(f"{command} ends with {code} and says why", typed.code == code and not missing, details)
        tokens = [token.encode() for token in (TOKEN, WRONG_TOKEN)]
        self._check("the terminal showed no token", not any(token in typed.raw for token in tokens), typed.text)
        watch = typed.watch
        self._check("no process has a token in its arguments", not watch.in_arguments, watch.in_arguments)
        others = watch.in_environment - set(token_in)
        self._check("no child process has it in its environment", not others, others)
        samconfig = (self._folder / "samconfig.toml").read_bytes()
        self._check("samconfig.toml is the same as before", samconfig == self._samconfig, samconfig.decode())
        return passed

    def _nothing_built(self):
        self._check("nothing was built", not (self._folder / ".aws-sam").exists())
        self._check("nothing was created", self._account.everything() == self._before)

    def _is_registered(self, user):
        options = (self._servers.registration() or {}).get("options", {})
        return list(user["keys"]) == [options.get("credentials", {}).get("aws_access_key")]

    @contextlib.contextmanager
    def _without_change_of_the_key(self):
        before, registration = self._account.user(), self._servers.registration()
        yield
        unchanged = self._account.user()["keys"] == before["keys"] and self._servers.registration() == registration
        self._check("the key and its registration are unchanged", unchanged, self._account.user())

    def _secret_names(self):
        secrets = self._account.client("secretsmanager").list_secrets()["SecretList"]
        return sorted(secret["Name"] for secret in secrets)

    def _code(self):
        s3 = self._account.client("s3")
        buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
        return [o["Key"] for name in buckets for o in s3.list_objects_v2(Bucket=name).get("Contents", [])]

    def _files_with_a_token(self):
        tokens = [token.encode() for token in (TOKEN, WRONG_TOKEN)]
        files = [path for root in (self._folder, self._home) for path in root.rglob("*") if path.is_file()]
        return [str(path) for path in files if any(token in path.read_bytes() for token in tokens)]
