//! Creates a policy, and changes its document.

use tokio::time::Instant;

use crate::aws::code;
use crate::aws::iam::document::Kind;
use crate::error::Error;
use crate::reconcile::run::Run;
use crate::resource::ownership::Owner;

impl Run<'_> {
    pub(super) async fn create_policy(&self, kind: Kind) -> Result<(), Error> {
        let spec = &self.prepared.spec;
        let tags = self.context.ownership.for_policy(spec);
        let (iam, arn) = (&self.context.iam, self.arn(kind));
        let until = Instant::now() + self.context.config.consistency;
        loop {
            let created = iam.create_policy(spec.path.as_str(), &kind.name(&spec.user), kind.document(), &tags).await;
            match created {
                Err(error) if code(&error) == Some("EntityAlreadyExists") => {}
                other => return other,
            }
            match iam.policy_tags(&arn).await? {
                Some(tags) if self.context.ownership.owner(&tags) == Owner::Ours => return Ok(()),
                Some(_) => return Err(Error::Foreign { what: format!("policy {arn}") }),
                None => self.wait_for_name(format!("policy {arn} (its path or case may differ)"), until).await?,
            }
        }
    }

    pub(super) async fn put_document(&self, kind: Kind) -> Result<(), Error> {
        let version = self.context.iam.put_document(&self.arn(kind), kind.document()).await?;
        tracing::info!(policy = %self.arn(kind), version, "new default version");
        Ok(())
    }
}
