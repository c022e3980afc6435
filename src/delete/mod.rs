//! Delete. It disconnects the workspace, then deletes the user's contents, the policies and the user. After a failure,
//! nothing is undone, and the next Delete continues from there. Resources that this stack does not own are kept. A
//! resource that no longer exists is not an error.

mod access;
mod blockers;
mod deregister;
mod find;
mod plan;
mod restore;
#[cfg(test)]
mod tests;
mod unrecorded;
mod user;

use blockers::check_blockers;
use deregister::{AtCoiled, disconnect};
use find::{Owned, find_despite_late_create};
use plan::{Plan, Step, Steps};

use crate::aws::gone_is_fine;
use crate::cloudformation::response::Data;
use crate::error::{Error, Failure};
use crate::properties::Remnant;
use crate::resource::context::Context;

/// Deletes every resource that this stack owns. Adopted resources are restored instead if the stack never registered a
/// key.
///
/// # Errors
/// The failed step. The next Delete continues from there.
pub(crate) async fn run(context: &Context<'_>) -> Result<Data, Failure> {
    let deleted = context.guarded(context.deadlines.work, delete(context)).await;
    if deleted.is_err()
        && let Some(name) = Remnant::read(&context.envelope.properties).user
    {
        // Otherwise the next Delete would wait until this run's lease expires at its deadline.
        let expire_lease =
            async { context.end_lease(name.as_str(), &context.lease).await.map_err(|error| context.failure(error)) };
        if let Err(failure) = context.guarded(context.deadlines.undo, expire_lease).await {
            tracing::warn!(%failure, "could not expire the lease; it expires at this run's deadline");
        }
    }
    deleted.map(|()| Data::new())
}

async fn delete(context: &Context<'_>) -> Result<(), Failure> {
    let Some(owned) = context.step("find the stack's resources", find_despite_late_create(context)).await? else {
        tracing::info!("this stack owns no resources in the account; Coiled keeps a registration if one exists");
        return Ok(());
    };
    let plan = Plan::new(&owned);
    announce(&plan);
    context.step("check for blockers", check_blockers(context, &owned)).await?;
    let connection = execute(context, &owned, &plan.deregister).await?;
    let rest = plan.decide(connection);
    tracing::info!(%rest, "decided");
    execute(context, &owned, rest).await.map(|_| ())
}

/// Logs the steps. For an adopted user, this logs both possibilities after the disconnection.
fn announce(Plan { deregister, restore, delete }: &Plan) {
    match restore {
        Some(restore) => tracing::info!(plan = %deregister, then = %restore, or = %delete, "plan"),
        None => tracing::info!(plan = %format!("{deregister} > {delete}"), "plan"),
    }
}

/// Executes the steps. Returns whose connection the workspace had, which only [`Step::Disconnect`] finds out.
async fn execute(context: &Context<'_>, owned: &Owned, steps: &Steps) -> Result<AtCoiled, Failure> {
    let mut connection = AtCoiled::NotThisStack;
    for step in &steps.0 {
        let found = context.step(&step.to_string(), perform(context, owned, step)).await?;
        connection = found.unwrap_or(connection);
    }
    Ok(connection)
}

async fn perform(context: &Context<'_>, owned: &Owned, step: &Step) -> Result<Option<AtCoiled>, Error> {
    let iam = &context.iam;
    match step {
        // IAM may still show a user that was just deleted.
        Step::AcquireLease => {
            let before = owned.user.as_ref().and_then(|seen| seen.lease.as_ref());
            gone_is_fine(context.take_lease(owned.name.as_str(), before, owned.lost_record()).await)?;
        }
        Step::Disconnect => return disconnect(context, owned, &owned.tags()).await.map(Some),
        Step::LookForConnection => unrecorded::report(context, owned, &[]).await,
        Step::Restore => restore::restore(context, owned).await?,
        Step::DeleteContents => user::delete_contents(context, &owned.name).await?,
        Step::DeletePolicy(arn) => iam.delete_policy(arn).await?,
        Step::DeleteUser(_) => user::delete(context, &owned.name).await?,
    }
    Ok(None)
}
