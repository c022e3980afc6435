"""The life of a stack, step by step, and what has to hold after each."""

import json
from pathlib import Path

from .account import USER, Account
from .overlay import overlay
from .servers import REGION, TOKEN, WORKSPACE, tail
from .stack import Stack

POLICIES = {f"{USER}-{name}": json.loads(Path(f"policies/{name}.json").read_text()) for name in ("setup", "ongoing")}


class Life:
    """What happens, in this order: `deploy`, `look`, `update`, `fail`, `delete`, `leave`."""

    def __init__(self, servers, report):
        self._servers = servers
        self._report = report
        self._account = Account(servers.aws_url)
        self._stack = None
        self._before = self._account.everything()

    def run(self):
        """All of it; what has failed is told, and the rest goes on as far as it makes sense."""
        steps = [self.overlay, self.deploy, self.look, self.update, self.fail, self.delete, self.leave]
        for step in steps:
            with self._report.step(step.__name__, step.__doc__.rstrip(".")):
                step()
                # Without a stack there is nothing to look at.
                if step == self.deploy and not self._report.all_held:
                    break

    def again(self):
        """Deploys once more, for whoever wants to look around."""
        with self._report.step("deploy again", "For you to look around"):
            self._deploy_first()

    def overlay(self):
        """What MiniStack can't judge of the shipped role's policy, replaced; nothing else is."""
        template, difference = overlay()
        self._report.show(difference)
        self._stack = Stack(self._account.client("cloudformation"), self._servers.environment(), template)

    def deploy(self):
        """sam deploy with a token, and nothing else."""
        self._deploy_first()
        outputs = self._stack.outputs()
        self._report.show(f"Next step: {outputs.get('NextStep')}")
        named = {"UserArn", "AccessKeyId", "SetupPolicyArn", "OngoingPolicyArn", "Workspace", "Region", "SettingsUrl"}
        self._report.claim("the outputs say what was made, and what to do next", named | {"NextStep"} <= set(outputs))

    def look(self):
        """What is there now, in the account and at Coiled."""
        user, policies = self._account.user(), self._account.policies()
        claim = self._report.claim
        if not claim("there is a user", user):
            return
        self._show(user)
        claim("the user carries the marks of this stack", self._is_marked(user), user["tags"])
        claim("both policies are Coiled's own, and attached", self._are_coileds(user, policies), user["attached"])
        self._claim_key(user)

    def update(self):
        """Update: the setup policy detached, the key rotated."""
        old = self._account.user()
        done = self._stack.deploy(AttachSetupPolicy="false", RotateKey="once")
        self._report.claim("sam deploy has worked", done, self._story())
        user = self._account.user()
        claim = self._report.claim
        if not claim("the user is still there", old and user):
            return
        self._show(user)
        claim("the setup policy is detached", user["attached"] == [f"{USER}-ongoing"], user["attached"])
        claim("and kept", f"{USER}-setup" in self._account.policies())
        claim("the old key is gone", not set(old["keys"]) & set(user["keys"]), list(user["keys"]))
        self._claim_key(user)

    def fail(self):
        """An update that fails, for its token has been revoked; the rollback needs none."""
        before, held = self._account.everything(), self._servers.held()
        self._put_token("revoked-" + TOKEN[::-1])
        done = self._stack.deploy(RotateKey="twice")
        claim = self._report.claim
        reason = self._stack.reason()
        self._report.show(f"The console says: {reason}")
        claim("sam deploy says that it failed", not done)
        claim("the stack is back where it was", self._stack.status() == "UPDATE_ROLLBACK_COMPLETE", self._stack.status())
        claim("the Reason says what to do", "does not accept the API token" in reason and "new token" in reason, reason)
        claim("the account is as before", self._account.everything() == before, self._account.everything())
        claim("and so is what Coiled holds", self._servers.held() == held, self._servers.held())
        self._put_token(TOKEN)

    def delete(self):
        """The stack is deleted."""
        status = self._stack.delete()
        self._report.claim("CloudFormation has deleted it", status == "DELETE_COMPLETE", f"{status}\n{self._story()}")

    def leave(self):
        """What is left when it is gone."""
        left = self._account.everything()
        self._report.show(f"users, policies, roles, functions, secrets, log groups: {_short(left)}")
        claim = self._report.claim
        claim("nothing is left in the account", left == self._before, left)
        claim("Coiled holds nothing any more", self._servers.held() is None, self._servers.held())
        log = self._servers.log("coiled")
        claim("Coiled found nothing wrong with what it was asked", "VIOLATION" not in log, tail(log))
        printed = [*self._report.said, *self._stack.printed, self._servers.log("ministack"), log]
        claim("the token was printed nowhere", not any(TOKEN in text for text in printed), "see the logs")

    def _deploy_first(self):
        done = self._stack.deploy(CoiledToken=TOKEN, CoiledServer=self._servers.coiled_url)
        self._report.claim("sam deploy has worked", done, self._story())

    def _put_token(self, token):
        secrets = self._account.client("secretsmanager")
        for secret in secrets.list_secrets()["SecretList"]:
            secrets.put_secret_value(SecretId=secret["ARN"], SecretString=token)

    def _show(self, user):
        report, held = self._report, self._servers.held() or {}
        report.show(f"user      {user['arn']}")
        report.show(f"attached  {', '.join(user['attached'])}   (there: {', '.join(self._account.policies())})")
        report.show(f"keys      {', '.join(f'{id} {status}' for id, status in user['keys'].items())}")
        report.show(f"Coiled    {WORKSPACE}: {json.dumps(held.get('options', {}).get('credentials'))}")

    def _claim_key(self, user):
        held = (self._servers.held() or {}).get("options", {})
        held_id = held.get("credentials", {}).get("aws_access_key")
        claim = self._report.claim
        claim("there is one key, and it is active", list(user["keys"].values()) == ["Active"], user["keys"])
        claim("Coiled holds that key, which worked when it came", self._works(user, held_id), held)
        claim(f"for region {REGION}", held.get("aws_region_name") == REGION, held)

    def _works(self, user, held_id):
        # The stand-in tries every key out at STS, and says so where it doesn't work.
        return [held_id] == list(user["keys"]) and "VIOLATION" not in self._servers.log("coiled")

    def _is_marked(self, user):
        tags = user["tags"]
        ours = tags.get("coiled-stack:stack-id") == self._stack.describe()["StackId"]
        key = tags.get("coiled-stack:access-key-id") in user["keys"]
        return ours and key and tags.get("owner") == "coiled" and "coiled-stack:lease" not in tags

    def _are_coileds(self, user, policies):
        same = all(_same(policies.get(name), document) for name, document in POLICIES.items())
        return same and user["attached"] == sorted(POLICIES)

    def _story(self):
        printed = tail(self._stack.printed[-1] if self._stack.printed else "")
        return f"{printed}\n{self._stack.reason() if 'Stack' in printed else ''}\n{tail(self._servers.log('ministack'))}"


def _same(one, other):
    """Whether two documents say the same: lists of statements in this order, as they were made here."""
    return one is not None and one["Statement"] == other["Statement"]


def _short(everything):
    return ", ".join(f"{name} {list(found or [])}" for name, found in everything.items())
