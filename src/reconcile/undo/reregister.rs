//! Registers the new key again after Coiled rejected an Update's registration.
//!
//! Coiled may have stored the rejected key in order to check it, and often shows the same connection for both keys. The
//! user would then have two keys that Coiled may hold, and no room for the next Update's key. So the new key is
//! registered once more, with the settings of the recorded key. If that works, Coiled certainly holds the new key.

use crate::aws::iam::keys::NewKey;
use crate::coiled::message::Message;
use crate::error::Error;
use crate::properties::Spec;
use crate::properties::registry::Registry;
use crate::reconcile::journal::Outcome;
use crate::reconcile::link::Link;
use crate::reconcile::run::Run;
use crate::resource::record::Digests;
use crate::resource::trust;
use crate::tag::{ACCESS_KEY_ID, REGISTERED, Tag, get};

impl Run<'_> {
    /// Registers the new key with the settings that the recorded key has. Returns `false` if both keys remain.
    pub(super) async fn reregister(&self) -> bool {
        let (Some(spec), Some(link), Some(key)) =
            (self.recorded_settings(), self.prepared.key.link(), self.journal.key())
        else {
            return false;
        };
        self.context.enter("register the new key with the earlier settings");
        match self.register_with(&spec, link, key).await {
            Ok(()) => {
                tracing::info!("the new key is registered with the earlier settings; the earlier key is deleted");
                true
            }
            Err(error) => {
                tracing::warn!(%error, "Coiled may hold either key; keeping both");
                false
            }
        }
    }

    /// The old properties, if the recorded key is registered with them and this run has the tokens for them.
    ///
    /// The old properties come from the event too, so they must match what the function was deployed for. The server
    /// and the API token always come from this run's own properties.
    fn recorded_settings(&self) -> Option<Spec> {
        let new = &self.prepared.spec;
        let old = self.context.read_spec(self.context.envelope.old_properties()).ok()?;
        let spec = Spec { server: new.server.clone(), token_secret: new.token_secret.clone(), ..old };
        trust::check_pins(self.context.config, &spec).ok()?;
        let tags = &self.prepared.observed.owned()?.user.tags;
        let recorded = get(tags, REGISTERED).and_then(Digests::read)?;
        let is_recorded = recorded.wanted == Digests::wanted(&spec) && get(tags, ACCESS_KEY_ID).is_some();
        let has_tokens = match (&spec.registry, &new.registry) {
            (Registry::DockerHub(old), Registry::DockerHub(new)) => old.token_secret == new.token_secret,
            (old, _) => *old == Registry::Ecr,
        };
        (self.journal.outcome() == Outcome::Rejected && is_recorded && has_tokens).then_some(spec)
    }

    async fn register_with(&self, spec: &Spec, link: &Link, key: NewKey) -> Result<(), Error> {
        let context = self.context;
        if !context.is_mine(self.user()).await? {
            return Err(Error::Busy("it has the lease now".into()));
        }
        let physical_id = context.envelope.physical_resource_id();
        let ids = (physical_id.plain(), context.envelope.request_id.as_str());
        let message = Message::new(spec, &key, link.hub_token.as_ref(), ids);
        let coiled = self.coiled_for_undo(link);
        coiled.register(&link.workspace, &message, None, || self.journal.note_sent()).await?;
        let shown = coiled.shown(&link.workspace).await?;
        if !shown.is_aws_in(&spec.region) {
            return Err(Error::Unconfirmed(format!("Coiled shows {}", shown.describe())));
        }
        let recorded = Digests::new(spec, &shown).tag_value();
        context.iam.tag_user(self.user(), &[Tag::new(ACCESS_KEY_ID, key.id), Tag::new(REGISTERED, recorded)]).await?;
        let others: Vec<String> = self.prepared.observed.keys().iter().map(|key| key.id.clone()).collect();
        self.delete_keys(&others).await?;
        self.release_lease(true).await
    }
}
