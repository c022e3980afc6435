"""Before anything is created: reads the options, checks that all names are free, and asks for consent."""

from dataclasses import replace

from stack import bucket, parameters, questions, settings, template
from stack.coiled import is_loopback
from stack.problem import Misuse, Problem

from .leftovers import Leftovers
from .names import Names

# Parameters that would let the test change or delete something that it has not created, or that it sets itself.
_NOT_IN_SET = {
    "AdoptExisting": "would replace a connection that the test has not made",
    "ForceDisconnect": "would leave clusters running",
    "AttachSetupPolicy": "is changed by the test itself",
    "RotateKey": "is changed by the test itself",
    parameters.SECRET: "cannot be used, because the test asks Coiled itself and needs the token",
}
_COSTS = (
    "an estimate, because nobody has run this yet: less than 0.20 USD at AWS, most of it for the machines.\n"
    "Coiled may charge for the clusters too: https://coiled.io/pricing"
)


class Prepared:
    """What the test works on."""

    def __init__(self, run, recorder):
        self._options = run.options
        questions.need_consent(run.options)
        declared = template.parameters()
        wanted = _settings(run.options, declared)
        # SET for the deployment.
        self.settings = _settings_text(run.options, wanted)
        settings.parse(self.settings, declared)
        questions.need_token(run.options)
        self.names = _names(run.options, wanted)
        self.server = wanted.get("CoiledServer") or template.default("CoiledServer")
        recorder.watch(run.aws)
        run.sign_in(confirm_region=True)
        self.token = run.ask_token(self.server, declared)
        # All further commands have their answers, so they ask nothing.
        run.options = replace(run.options, consent=True, region=run.aws.region, token=self.token)
        bucket.check(run.aws, run.options.bucket)
        with run.screen.waiting("Checking the token, and that all names are free"):
            self.coiled = run.coiled(self.server, self.token)
            self.coiled.user()
            self.leftovers = Leftovers(run.aws, self.coiled, self.names)
            _need_free_names(self.leftovers.find())

    @property
    def has_clusters(self):
        """Whether clusters can be started. A server on this machine is a stand-in, which has none."""
        return not is_loopback(self.server)

    def ask(self, run, steps):
        """One screen: what the test does, what it costs, and what remains. Then asks."""
        row, names = run.screen.row, self.names
        run.screen.title("\nThe acceptance test will deploy, use and delete a stack")
        row("account", run.account_name())
        row("region", run.aws.region)
        row("workspace", f"{names.workspace} at {self.server}")
        row("creates", f"the stack {names.stack} with the IAM user {names.user}, which is deleted at the end")
        for number, step in enumerate(steps, 1):
            row("" if number > 1 else "steps", f"{number}. {step.title}")
        row("takes", "about 40 minutes (an estimate). Your AWS session must last that long")
        row("costs", _COSTS)
        row("remains", "what Coiled itself creates: docs/after-deploying.md lists it. SAM's bucket, without this code")
        row("report", "a file in this folder, without secrets. Nothing is sent anywhere")
        if not self.has_clusters:
            row("note", "The Coiled server is on this machine, so no cluster is started.", "yellow")
        row("note", "While the setup policy is attached, the key can administer this account.", "yellow")
        questions.consent(run.screen, self._options, "Run the acceptance test?")


def _settings_text(options, wanted):
    """SET for the deployment. Without UserName, the user has the stack's name instead of the template's default."""
    return options.settings if wanted.get("UserName") else f"UserName={options.stack}\n{options.settings}"


def _settings(options, declared):
    found = settings.parse(options.settings, declared)
    for name, why in _NOT_IN_SET.items():
        if found.get(name):
            raise Misuse(f"{name} {why}. Remove it from SET.")
    if not found.get("Workspace"):
        raise Misuse(
            "The test connects and disconnects a workspace, so name one that nobody uses: SET=Workspace=NAME",
        )
    return found


def _names(options, wanted):
    return Names(
        stack=options.stack,
        workspace=wanted["Workspace"],
        user=wanted.get("UserName") or options.stack,
        path=wanted.get("UserPath") or template.default("UserPath"),
        bucket=options.bucket,
    )


def _need_free_names(found):
    if found:
        raise Problem(
            "The test deletes everything under its names at the end, so nothing may exist under them now:\n"
            + "\n".join(map(str, found)),
            "Remove it if it is yours, or choose other names: STACK=NAME SET='Workspace=NAME UserName=NAME'",
        )
