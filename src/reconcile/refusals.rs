//! Rejects a Create or an Update that would take someone else's resources, or change the properties that identify the
//! connection.

use crate::aws::iam::document::Kind;
use crate::aws::iam::policy::Policy;
use crate::error::Error;
use crate::properties::{Remnant, Spec};
use crate::resource::context::Context;
use crate::resource::observe::{Observed, SeenUser};
use crate::resource::ownership::Owner;
use crate::resource::recognition::is_own_policy;
use crate::tag::{SERVER, WORKSPACE, get};

/// Rejects a user that this stack neither owns nor may adopt.
pub(crate) fn check_owner(spec: &Spec, seen: Option<&SeenUser>) -> Result<(), Error> {
    let Some(seen) = seen else { return Ok(()) };
    match seen.owner {
        Owner::Ours => Ok(()),
        Owner::Coiled if spec.adopt && seen.user.name == spec.user.as_str() && seen.user.path == spec.path.as_str() => {
            check_boundary(spec, seen)
        }
        _ => Err(Error::Foreign { what: seen.user.whose() }),
    }
}

/// Rejects the adoption of a user that does not have the stack's boundary. The function's role may set that boundary
/// but not delete it, so a failed Create could not restore the user.
fn check_boundary(spec: &Spec, seen: &SeenUser) -> Result<(), Error> {
    match &spec.boundary {
        Some(wanted) if seen.user.boundary.as_ref() != Some(wanted) => {
            Err(Error::Unbounded { arn: seen.user.arn.clone(), wanted: wanted.clone() })
        }
        _ => Ok(()),
    }
}

/// An error for each policy that does not have this stack's ownership tags, unless this run adopts the policy with its
/// user.
pub(crate) fn foreign_policies(context: &Context<'_>, spec: &Spec, observed: &Observed) -> Vec<Error> {
    // A run that was killed during an adoption may have tagged the user but not its policies.
    let owner = observed.user.as_ref().map(|seen| seen.owner);
    let adopts = spec.adopt && matches!(owner, Some(Owner::Coiled | Owner::Ours));
    let is_foreign = |(kind, policy): &(&Kind, &Policy)| match context.ownership.owner(&policy.tags) {
        Owner::Ours => false,
        Owner::Coiled | Owner::Unmarked => !adopts && !is_own_policy(context, observed, **kind, policy),
        Owner::AnotherStack => true,
    };
    let foreign = observed.policies.iter().filter(is_foreign);
    foreign.map(|(_, policy)| Error::Foreign { what: format!("policy {}", policy.arn) }).collect()
}

/// Rejects an Update that changes the server, the workspace, the user's name or its path.
///
/// A rollback must pass this check, but its `OldResourceProperties` contain the rejected values. So a server or a
/// workspace counts as changed only if its state tag differs too. If only the tag differs, someone may have changed the
/// tag, and [`crate::resource::trust`] decides.
pub(crate) fn check_identity(context: &Context<'_>, spec: &Spec, seen: Option<&SeenUser>) -> Result<(), Error> {
    let old = Remnant::read(context.envelope.old_properties());
    let physical_id = context.envelope.physical_resource_id();
    let left = |slug: &str| spec.workspace.as_deref().is_some_and(|new| new != slug);
    let changed = match seen.filter(|seen| seen.owner == Owner::Ours) {
        Some(seen) => {
            let tags_differ = |key, new: &str| get(&seen.user.tags, key).is_some_and(|tagged| tagged != new);
            let server = spec.server.to_string();
            let moved = match (physical_id.workspace(), &spec.workspace) {
                (Some(created_in), _) => left(created_in),
                (None, Some(new)) => old.workspace.as_ref() != Some(new) && tags_differ(WORKSPACE, new),
                (None, None) => false,
            };
            vec![
                ("CoiledServer", old.server.as_ref() != Some(&spec.server) && tags_differ(SERVER, &server)),
                ("Workspace", moved),
                ("UserName", seen.user.name != spec.user.as_str()),
                ("UserPath", seen.user.path != spec.path.as_str()),
            ]
        }
        None => vec![
            ("CoiledServer", old.server.is_some_and(|server| server != spec.server)),
            ("Workspace", physical_id.workspace().is_some_and(left)),
            ("UserName", old.user.is_some_and(|user| user != spec.user)),
            ("UserPath", old.path.is_some_and(|path| path != spec.path)),
        ],
    };
    let changed: Vec<String> = changed.into_iter().filter(|(_, is)| *is).map(|(name, _)| name.to_owned()).collect();
    if changed.is_empty() { Ok(()) } else { Err(Error::Identity(changed)) }
}
