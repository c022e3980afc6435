//! Create and Update. Every check runs before the first change; then the plan is executed.

mod apply;
mod decide;
mod journal;
mod link;
pub(crate) mod plan;
mod preflight;
mod refusals;
mod run;
mod step;
mod undo;

use journal::Journal;
use plan::{Wanted, next_key_time, plan};
use preflight::{Prepared, prepare};
use run::Run;

use crate::aws::iam::document::Kind;
use crate::cloudformation::request::RequestType;
use crate::cloudformation::response::Data;
use crate::coiled::settings_url;
use crate::coiled::socket::Socket;
use crate::error::Failure;
use crate::properties::{Remnant, tags};
use crate::resource::context::Context;
use crate::tag::{ACCESS_KEY_ID, WORKSPACE, get};

/// Creates or updates the connection, and undoes changes after a failure.
///
/// # Errors
/// The failed step, with the ARNs of everything that could not be undone.
pub(crate) async fn run(context: &Context<'_>, request: RequestType) -> Result<Data, Failure> {
    loop {
        let journal = Journal::default();
        let mut prepared = context.guarded(context.deadlines.work, prepare(context, request)).await?;
        let socket = prepared.socket.take();
        let run = Run::new(context, &prepared, &journal);
        let result = context.guarded(context.deadlines.work, execute(&run, socket)).await;
        match result {
            Ok(()) => return Ok(data(&run)),
            // Lambda may deliver an event twice in parallel. The run that loses the race has not changed anything. It
            // repeats its checks, which wait until the other run has ended, and then sends the same response.
            Err(failure) if journal.is_overtaken() => {
                tracing::info!(%failure, "another run was faster; checking again")
            }
            Err(failure) => return Err(undo_after_failure(context, request, &run, failure).await),
        }
    }
}

/// A failed Create undoes all its changes. A failed Update undoes only a key that Coiled cannot hold, because
/// CloudFormation rolls back the rest with another Update.
async fn undo_after_failure(
    context: &Context<'_>,
    request: RequestType,
    run: &Run<'_>,
    mut failure: Failure,
) -> Failure {
    tracing::error!(%failure, "the request failed");
    let undo = async { Ok(run.undo_changes(request == RequestType::Create).await) };
    match context.guarded(context.deadlines.undo, undo).await {
        Ok(leftovers) => failure.leftovers = leftovers,
        Err(cut_off) => {
            tracing::error!(%cut_off, "the undo did not finish");
            failure.leftovers = run.not_undone();
        }
    }
    failure
}

async fn execute(run: &Run<'_>, socket: Option<Socket>) -> Result<(), Failure> {
    let observed = &run.prepared.observed;
    let Some(plan) = plan(&wanted(run), observed) else {
        tracing::info!("nothing to change");
        return Ok(());
    };
    tracing::info!(plan = %plan, "plan");
    let registers = run.prepared.key.link().is_some();
    run.journal.set_key_time(next_key_time(observed, registers, run.context.config.create_key));
    Box::pin(run.execute(&plan, socket)).await
}

fn wanted<'r>(run: &Run<'r>) -> Wanted<'r> {
    let (context, prepared) = (run.context, run.prepared);
    let tagged = prepared.observed.owned().and_then(|seen| get(&seen.user.tags, WORKSPACE));
    let workspace = prepared.key.link().map(|link| link.workspace.as_str()).or(tagged);
    Wanted {
        spec: &prepared.spec,
        tags: context.ownership.for_policy(&prepared.spec),
        user_tags: context.ownership.for_user(&prepared.spec, workspace),
        old_tag_keys: tags::keys_leniently(context.envelope.old_properties()),
        old_boundary: Remnant::read(context.envelope.old_properties()).boundary,
        key: &prepared.key,
    }
}

/// The attributes that `Fn::GetAtt` returns.
fn data(run: &Run<'_>) -> Data {
    let Prepared { spec, named, account, observed, key, .. } = run.prepared;
    let tag = |key| observed.owned().and_then(|seen| get(&seen.user.tags, key)).map(str::to_owned);
    let named = || named.as_ref().map(|workspace| workspace.slug.clone());
    let linked = key.link().map(|link| link.workspace.clone());
    let workspace = linked.or_else(named).or_else(|| tag(WORKSPACE)).unwrap_or_default();
    let arn = |kind: Kind| account.policy_arn(spec.path.as_str(), &kind.name(&spec.user));
    Data::from([
        ("UserArn", account.user_arn(spec.path.as_str(), spec.user.as_str())),
        ("UserName", spec.user.to_string()),
        ("AccessKeyId", run.journal.key_id().or_else(|| tag(ACCESS_KEY_ID)).unwrap_or_default()),
        ("SetupPolicyArn", arn(Kind::Setup)),
        ("OngoingPolicyArn", arn(Kind::Ongoing)),
        ("SettingsUrl", settings_url(&spec.server, &workspace)),
        ("Workspace", workspace),
        ("Region", spec.region.clone()),
    ])
}
