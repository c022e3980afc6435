//! A world in which a scenario can be played, with things of other people's all around.

use std::time::Duration;

use aws_sdk_iam::types::Tag;
use coiled_aws_stack::config::Config;
use serde_json::{Value, json};

use super::scenario::{Before, Event, HUB, Scenario};
use crate::adopt;
use crate::stand_in::{Call, Fault, How};
use crate::support::World;

const DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}]}"#;

/// As long as it takes: what is sent here is not disturbed, or by what passes.
pub const PATIENT: Duration = Duration::from_secs(20);

/// A world, and the scenario for it.
pub struct Stage {
    pub world: World,
    pub scenario: Scenario,
    hub: String,
}

/// Even shorter than in other tests. A missing right is believed at once, so that one refused call is one failed step.
fn config() -> Config {
    Config {
        key_settle: Duration::from_millis(1),
        lease_settle: Duration::from_millis(5),
        late_create: Duration::ZERO,
        poll: Duration::from_millis(10),
        access_denied_grace: Duration::ZERO,
        consistency: Duration::from_millis(300),
        coiled_retry: Duration::from_millis(300),
        server: None,
    }
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}

impl Stage {
    /// Sets it up to the moment at which the scenario's request comes.
    pub async fn set(scenario: &Scenario) -> Self {
        let mut world = World::with(config()).await;
        world.timeout = PATIENT;
        let secret = world.secrets.create_secret().name("hub-token").secret_string("hub-token-c4n4ry-0123456789");
        let hub = secret.send().await.unwrap().arn.unwrap();
        let stage = Self { world, scenario: scenario.clone(), hub };
        stage.plant().await;
        stage.begin().await;
        stage
    }

    /// What nobody may touch: names like ours, marks like ours, and none of it is ours.
    async fn plant(&self) {
        let iam = &self.world.iam;
        let marks = [tag("owner", "coiled"), tag("coiled-stack:stack-id", "another"), tag("note", "theirs")];
        iam.create_user().user_name("coiled2").set_tags(Some(marks.to_vec())).send().await.unwrap();
        iam.create_access_key().user_name("coiled2").send().await.unwrap();
        let theirs =
            iam.create_policy().policy_name("coiled2-setup").policy_document(DOCUMENT).tags(tag("owner", "me"));
        let arn = theirs.send().await.unwrap().policy.unwrap().arn.unwrap();
        iam.attach_user_policy().user_name("coiled2").policy_arn(arn).send().await.unwrap();
        self.world.coiled.add_workspace("team", "Team", false);
        let options = json!({"provider_name": "aws", "aws_region_name": "us-east-1"});
        self.world.coiled.connect("team", json!({"backend": "vm", "options": options}));
    }

    async fn begin(&self) {
        let world = &self.world;
        match self.scenario.before {
            Before::Nothing => return,
            Before::SetUpByCoiled => self.set_up_by_coiled().await,
            _ => drop(world.create(self.old_target()).await.succeeded()),
        }
        // A person's own tag on what is ours.
        world.iam.tag_user().user_name("coiled").tags(tag("note", "of a person")).send().await.unwrap();
        match self.scenario.before {
            Before::Drifted => self.drift().await,
            Before::PutByHand => world.put_everything_into("coiled").await,
            Before::ClustersRun => world.coiled.ask_for_confirmation("ada", "2 clusters are running"),
            Before::Refused => self.refused().await,
            Before::Killed => self.killed().await,
            Before::Nothing | Before::SetUpByCoiled | Before::Created => {}
        }
    }

    /// With the boundary that it shall have: the role could not take it off again, so the function would not put it on.
    async fn set_up_by_coiled(&self) {
        adopt::set_up(&self.world, 1).await;
        if let Some(arn) = self.old_target()["PermissionsBoundaryArn"].as_str() {
            let put = self.world.iam.put_user_permissions_boundary().user_name("coiled");
            put.permissions_boundary(arn).send().await.unwrap();
        }
    }

    async fn drift(&self) {
        let (iam, arn) = (&self.world.iam, |name| self.world.policy_arn(name));
        for _ in 0..4 {
            let version = iam.create_policy_version().policy_arn(arn("coiled-ongoing")).policy_document(DOCUMENT);
            version.set_as_default(true).send().await.unwrap();
        }
        iam.detach_user_policy().user_name("coiled").policy_arn(arn("coiled-setup")).send().await.unwrap();
        iam.delete_policy().policy_arn(arn("coiled-setup")).send().await.unwrap();
    }

    async fn refused(&self) {
        self.world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
        self.world.update(self.old_target(), self.new_target()).await.failed(&["register"]);
    }

    async fn killed(&self) {
        let asked = self.world.coiled.calls(Call::BackendOptions).len();
        tokio::select! {
            ended = self.world.invoke(self.world.update_event(self.old_target(), self.new_target())) => panic!("it ended before: {ended:?}"),
            // It has looked at Coiled once before, and reads back what it registered.
            () = self.world.coiled.until(|coiled| coiled.calls(Call::BackendOptions).len() > asked + 1) => {}
        }
        self.world.lease_ends().await;
    }

    fn old_target(&self) -> Value {
        self.filled(&self.scenario.old)
    }

    fn new_target(&self) -> Value {
        self.filled(&self.scenario.new)
    }

    fn filled(&self, properties: &Value) -> Value {
        serde_json::from_str(&properties.to_string().replace(HUB, &self.hub)).unwrap()
    }

    /// The properties of the one and of the other target.
    pub fn targets(&self) -> [Value; 2] {
        [self.old_target(), self.new_target()].map(|properties| self.world.properties(properties))
    }

    /// The request that the scenario is about.
    pub fn event(&self) -> Value {
        match self.scenario.event {
            Event::Create => self.world.event("Create", self.world.properties(self.old_target())),
            Event::Update => self.world.update_event(self.old_target(), self.new_target()),
            Event::Rollback => self.world.update_event(self.new_target(), self.old_target()),
            Event::Delete => self.delete(),
        }
    }

    /// What CloudFormation sends when that has failed.
    pub fn next(&self) -> Value {
        match self.scenario.event {
            Event::Create | Event::Delete => self.delete(),
            Event::Update | Event::Rollback => self.world.update_event(self.new_target(), self.old_target()),
        }
    }

    fn delete(&self) -> Value {
        let mut event = self.world.event("Delete", self.world.properties(self.old_target()));
        event["PhysicalResourceId"] = json!("whatever-it-was");
        event
    }

    /// Nobody reaches Coiled from now on.
    pub fn cut_off_coiled(&self) {
        for on in [Call::Me, Call::Memberships, Call::BackendOptions, Call::Disconnect, Call::WsUpgrade] {
            self.world.coiled.fault(Fault { on, how: How::Reset, times: u32::MAX });
        }
    }

    /// Nothing goes wrong from now on.
    pub fn all_is_well(&self) {
        self.world.aws.clear_faults();
        self.world.coiled.clear_faults();
        self.world.bucket.clear_faults();
    }
}
