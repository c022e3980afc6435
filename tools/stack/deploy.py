"""`make deploy`: creates the stack."""

from . import build, bucket, changes, events, outcome, parameters, questions, settings, stacks, states, template
from .problem import Problem

_DAYS = "The secret costs about 0.40 USD a month; the rest of the stack costs next to nothing."


def run(run):
    """Asks for what is missing, shows what will be created, and creates it."""
    questions.need_consent(run.options)
    declared = template.parameters()
    wanted = settings.parse(run.options.settings, declared)
    pastes = parameters.needs_token(wanted, {})
    if pastes:
        questions.need_token(run.options)
    run.sign_in(confirm_region=True)
    cloudformation = run.cloudformation()
    _need_free_name(run, cloudformation)
    bucket.check(run.aws, run.options.bucket)
    token, owner = _token(run, wanted, declared) if pastes else (None, "")
    wanted = parameters.with_source(wanted, token, {})
    template.check_rules(parameters.effective(declared, {}, wanted))
    _plan(run, wanted, owner, pastes)
    questions.consent(run.screen, run.options, "Create this?")
    _create(run, cloudformation, wanted, declared)
    run.screen.title(f"\nThe stack {run.options.stack} is deployed")
    outcome.show_outputs(run, cloudformation)


def _need_free_name(run, cloudformation):
    stack = stacks.find(cloudformation, run.options.stack)
    if stack is not None:
        stacks.need_ours(cloudformation, stack)
        states.before_deploy(stack, run.make)


def _token(run, wanted, declared):
    """The token and whose it is, after Coiled has accepted it."""
    server = wanted.get("CoiledServer") or template.default("CoiledServer")
    token = run.ask_token(server, declared)
    with run.screen.waiting(f"Checking the token with {server}"):
        connected = run.coiled(server, token)
        user, default = connected.user()
        workspace = wanted.get("Workspace") or default
        if workspace and wanted.get("AdoptExisting") != "true":
            _need_unconnected(connected, workspace)
    return token, f"{workspace or '(the default one)'} at {server} (token of {user})"


def _need_unconnected(connected, workspace):
    region = connected.connection(workspace)
    if region is not None:
        raise Problem(
            f"The Coiled workspace {workspace} is already connected to an AWS account ({region}).",
            "To replace that connection: SET=AdoptExisting=true\nTo connect another workspace: SET=Workspace=NAME",
        )


def _plan(run, wanted, owner, pastes):
    """One screen: what will be created, where, and what it costs."""
    user = wanted.get("UserName") or template.default("UserName")
    attach = (wanted.get("AttachSetupPolicy") or template.default("AttachSetupPolicy")) == "true"
    row = run.screen.row
    run.screen.title(f"\nThe stack {run.options.stack} will be created")
    row("account", run.account_name())
    row("region", run.aws.region)
    row("workspace", owner or "not checked here, because the token is in your own secret")
    row("creates", f"the IAM user {user} with one access key, which Coiled receives")
    row("", f"the IAM policies {user}-setup and {user}-ongoing, {'both attached' if attach else 'only the second attached'}")
    row("", "a Lambda function with its role and log group" + (", and a secret with the token" if pastes else ""))
    for name, value in wanted.items():
        if name != parameters.TOKEN and value:
            row("setting", f"{name}={value}")
    if run.options.role_arn:
        row("role", f"CloudFormation assumes {run.options.role_arn}")
    row("costs", f"{_DAYS if pastes else 'Next to nothing.'}\nClusters cost what AWS and Coiled charge for them.")
    if attach:
        row("note", "While the setup policy is attached, the key can administer this account.", "yellow")


def _create(run, cloudformation, wanted, declared):
    build.build(run.screen)
    run.situation = "The function was built. Nothing was changed in AWS."
    body = build.package(run.screen, run.aws, run.options)
    run.situation = "The function was uploaded. The stack has no resources."
    request = {
        "StackName": run.options.stack,
        "ChangeSetType": "CREATE",
        "TemplateBody": body,
        "Capabilities": ["CAPABILITY_IAM"],
        "Parameters": parameters.request(declared, {}, wanted),
    }
    if run.options.role_arn:
        request["RoleARN"] = run.options.role_arn
    with changes.ChangeSet(cloudformation, request) as change_set:
        with run.screen.waiting("Creating the change set"):
            change_set.wait()
        new_events = events.Events(cloudformation, change_set.stack_id)
        run.in_aws("the deployment")
        change_set.execute()
    status = outcome.follow(run, new_events)
    if status != "CREATE_COMPLETE":
        outcome.fail(
            run,
            new_events,
            status,
            "CloudFormation has rolled the stack back. Resources that it could not delete still exist.",
            f"Correct the cause. Then delete the rest, and deploy again:\n  {run.make('delete')}\n  {run.make('deploy')}",
        )
