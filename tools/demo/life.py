"""The steps of the demo, each with the checks that must pass after it."""

import json
from pathlib import Path

from .account import USER, Account
from .overlay import overlay
from .servers import REGION, TOKEN, WORKSPACE, tail
from .stack import Stack

POLICIES = {f"{USER}-{name}": json.loads(Path(f"policies/{name}.json").read_text()) for name in ("setup", "ongoing")}


class Lifecycle:
    """One stack from its deployment to its deletion. A step's name and docstring are printed."""

    def __init__(self, servers, report):
        self._servers = servers
        self._report = report
        self._account = Account(servers.aws_url)
        self._stack = None
        self._before = self._account.everything()

    def run(self):
        """Runs all steps, even after failed checks, so that the report lists all failures."""
        steps = [self.overlay, self.deploy, self.inspect, self.update, self.rollback, self.delete, self.leftovers]
        for step in steps:
            with self._report.step(step.__name__, step.__doc__.rstrip(".")):
                step()
                # The other steps need a stack.
                if step == self.deploy and not self._report.all_passed:
                    break

    def deploy_again(self):
        """Deploys a stack that the user can inspect."""
        with self._report.step("deploy again", "Deploy a stack for you to inspect"):
            self._deploy_first()

    def overlay(self):
        """Replace the policy statements that MiniStack cannot evaluate, and show the difference."""
        template, difference = overlay()
        self._report.show(difference)
        self._stack = Stack(self._account.client("cloudformation"), self._servers.environment(), template)

    def deploy(self):
        """Run sam deploy with only a token and the address of the stand-in."""
        self._deploy_first()
        outputs = self._stack.outputs()
        self._report.show(f"Next step: {outputs.get('NextStep')}")
        names = {"UserArn", "AccessKeyId", "SetupPolicyArn", "OngoingPolicyArn", "Workspace", "Region", "SettingsUrl"}
        self._report.check("the outputs name the new resources and the next step", names | {"NextStep"} <= set(outputs))

    def inspect(self):
        """Inspect the account and the registration at Coiled."""
        user, policies = self._account.user(), self._account.policies()
        check = self._report.check
        if not check("the user exists", user):
            return
        self._show(user)
        check("the user has this stack's ownership tags and no lease", self._is_tagged(user), user["tags"])
        both = self._are_coileds(user, policies)
        check("both policies are identical to Coiled's own, and attached", both, user["attached"])
        self._check_key(user)

    def update(self):
        """Update the stack: detach the setup policy and rotate the key."""
        old = self._account.user()
        deployed = self._stack.deploy(AttachSetupPolicy="false", RotateKey="once")
        self._report.check("sam deploy succeeded", deployed, self._logs())
        user = self._account.user()
        check = self._report.check
        if not check("the user still exists", old and user):
            return
        self._show(user)
        check("the setup policy is detached", user["attached"] == [f"{USER}-ongoing"], user["attached"])
        check("the setup policy still exists", f"{USER}-setup" in self._account.policies())
        check("the old key is deleted", not set(old["keys"]) & set(user["keys"]), list(user["keys"]))
        self._check_key(user)

    def rollback(self):
        """Update the stack with a revoked token. The update fails, and the rollback needs no token."""
        before, registration = self._account.everything(), self._servers.registration()
        self._put_token("revoked-" + TOKEN[::-1])
        deployed = self._stack.deploy(RotateKey="twice")
        check = self._report.check
        reason = self._stack.status_reason()
        self._report.show(f"Status reason in the console: {reason}")
        check("sam deploy reported the failure", not deployed)
        status = self._stack.status()
        check("the stack is rolled back", status == "UPDATE_ROLLBACK_COMPLETE", status)
        fix = "rejected the API token" in reason and "new token" in reason
        check("the status reason says what to do", fix, reason)
        check("the account has not changed", self._account.everything() == before, self._account.everything())
        after = self._servers.registration()
        check("Coiled's registration has not changed", after == registration, after)
        self._put_token(TOKEN)

    def delete(self):
        """Delete the stack."""
        status = self._stack.delete()
        self._report.check("CloudFormation deleted the stack", status == "DELETE_COMPLETE", f"{status}\n{self._logs()}")

    def leftovers(self):
        """Look for leftovers in the account and at Coiled."""
        left = self._account.everything()
        self._report.show(f"left in the account: {_short(left)}")
        check = self._report.check
        check("the account is as it was before the stack", left == self._before, left)
        check("Coiled has no registration", self._servers.registration() is None, self._servers.registration())
        log = self._servers.log("coiled")
        check("Coiled received only valid requests", "VIOLATION" not in log, tail(log))
        printed = [*self._report.printed, *self._stack.printed, self._servers.log("ministack"), log]
        leaked = any(TOKEN in text for text in printed)
        check("no output or log contains the token", not leaked, "search the logs for it")

    def _deploy_first(self):
        deployed = self._stack.deploy(CoiledToken=TOKEN, CoiledServer=self._servers.coiled_url)
        self._report.check("sam deploy succeeded", deployed, self._logs())

    def _put_token(self, token):
        secrets = self._account.client("secretsmanager")
        for secret in secrets.list_secrets()["SecretList"]:
            secrets.put_secret_value(SecretId=secret["ARN"], SecretString=token)

    def _show(self, user):
        report, registration = self._report, self._servers.registration() or {}
        report.show(f"user      {user['arn']}")
        report.show(f"attached  {', '.join(user['attached'])}   (existing: {', '.join(self._account.policies())})")
        report.show(f"keys      {', '.join(f'{id} {status}' for id, status in user['keys'].items())}")
        report.show(f"Coiled    {WORKSPACE}: {json.dumps(registration.get('options', {}).get('credentials'))}")

    def _check_key(self, user):
        options = (self._servers.registration() or {}).get("options", {})
        key_id = options.get("credentials", {}).get("aws_access_key")
        check = self._report.check
        check("the user has exactly one key, and it is active", list(user["keys"].values()) == ["Active"], user["keys"])
        check("that key is registered with Coiled and works", self._is_registered(user, key_id), options)
        check(f"the registration is for region {REGION}", options.get("aws_region_name") == REGION, options)

    def _is_registered(self, user, key_id):
        # The stand-in tries each registered key with STS, and logs a VIOLATION if it does not work.
        return [key_id] == list(user["keys"]) and "VIOLATION" not in self._servers.log("coiled")

    def _is_tagged(self, user):
        tags = user["tags"]
        is_owned = tags.get("coiled-stack:stack-id") == self._stack.describe()["StackId"]
        has_key = tags.get("coiled-stack:access-key-id") in user["keys"]
        return is_owned and has_key and tags.get("owner") == "coiled" and "coiled-stack:lease" not in tags

    def _are_coileds(self, user, policies):
        same = all(_same(policies.get(name), document) for name, document in POLICIES.items())
        return same and user["attached"] == sorted(POLICIES)

    def _logs(self):
        printed = tail(self._stack.printed[-1] if self._stack.printed else "")
        reason = self._stack.status_reason() if "Stack" in printed else ""
        return f"{printed}\n{reason}\n{tail(self._servers.log('ministack'))}"


def _same(document, expected):
    """Whether two policies have the same statements in the same order. The `Version` fields are not compared."""
    return document is not None and document["Statement"] == expected["Statement"]


def _short(everything):
    return ", ".join(f"{name} {list(found or [])}" for name, found in everything.items())
