"""`make update`: deploys this release to the stack, and keeps everything that SET does not name."""

from . import bucket, build, changes, events, outcome, parameters, questions, settings, stacks, states, template

# What CloudFormation keeps by itself if a change set does not name it: the service role, the stack policy, rollback
# triggers and termination protection.


def run(run):
    """Shows what will change, and changes it."""
    questions.need_consent(run.options)
    declared = template.parameters()
    wanted = settings.parse(run.options.settings, declared)
    if wanted.get(parameters.TOKEN):
        questions.need_token(run.options)
    run.sign_in()
    cloudformation = run.cloudformation()
    stack = _stack(run, cloudformation)
    current = parameters.of_stack(stack)
    bucket.check(run.aws, run.options.bucket)
    token = _token(run, wanted, current, declared)
    wanted = parameters.with_source(wanted, token, current)
    template.check_rules(parameters.effective(declared, current, wanted))
    build.build(run.screen)
    run.situation = "The function was built. Nothing was changed in AWS."
    body = build.package(run.screen, run.aws, run.options)
    run.situation = "The function was uploaded. The stack was not changed."
    request = _request(run.options, stack, body, parameters.request(declared, current, wanted))
    with changes.ChangeSet(cloudformation, request) as change_set:
        with run.screen.waiting("Creating the change set"):
            has_changes = change_set.wait()
        if not has_changes:
            run.screen.title(f"\nThere is nothing to change: the stack {run.options.stack} is up to date.")
            return
        _plan(run, stack, change_set, parameters.differences(declared, current, wanted))
        questions.consent(run.screen, run.options, "Make these changes?")
        new_events = events.Events(cloudformation, stack["StackId"])
        run.in_aws("the update")
        change_set.execute()
    _finish(run, cloudformation, stack, outcome.follow(run, new_events), new_events)


def _stack(run, cloudformation):
    stack = stacks.need(run.aws, run.screen, run.options)
    stacks.need_ours(cloudformation, stack)
    states.before_update(stack, run.make)
    return stack


def _token(run, wanted, current, declared):
    """A new token, if the stack should get one."""
    if not parameters.needs_token(wanted, current):
        return None
    server = current["CoiledServer"]
    token = run.ask_token(server, declared)
    with run.screen.waiting(f"Checking the token with {server}"):
        run.coiled(server, token).user()
    return token


def _request(options, stack, body, values):
    capabilities = {"CAPABILITY_IAM", *stack.get("Capabilities", [])}
    request = {
        "StackName": stack["StackId"],
        "ChangeSetType": "UPDATE",
        "TemplateBody": body,
        "Capabilities": sorted(capabilities),
        "Parameters": values,
    }
    # CloudFormation rejects AWS's own tags in a request, and keeps them anyway.
    tags = [tag for tag in stack.get("Tags", []) if not tag["Key"].startswith("aws:")]
    optional = {"Tags": tags, "NotificationARNs": stack.get("NotificationARNs"), "RoleARN": options.role_arn}
    return request | {name: value for name, value in optional.items() if value}


def _plan(run, stack, change_set, differences):
    """One screen: what changes in which stack."""
    row = run.screen.row
    run.screen.title(f"\nThe stack {run.options.stack} will be updated")
    row("account", run.account_name())
    row("region", run.aws.region)
    for line in differences:
        row("setting", line)
    for line in changes.lines(change_set.resources):
        row("resource", line)
    role = run.options.role_arn or stack.get("RoleARN")
    if role:
        row("role", f"CloudFormation assumes {role}")


def _finish(run, cloudformation, stack, status, new_events):
    if status == "UPDATE_COMPLETE":
        run.screen.title(f"\nThe stack {run.options.stack} is updated")
        outcome.show_outputs(run, cloudformation)
    elif status == "UPDATE_ROLLBACK_FAILED":
        state = "The rollback failed too, so the stack has a mix of earlier and new settings."
        outcome.fail(run, new_events, status, state, states.continue_rollback(stack))
    else:
        state = "CloudFormation has rolled back the update: the stack is as it was before."
        outcome.fail(run, new_events, status, state, "Correct the cause, then run the command again.")
