//! Prepares an account and Coiled for one scenario, including resources that do not belong to the stack.

use std::time::Duration;

use aws_sdk_iam::types::Tag;
use coiled_aws_stack::config::Config;
use coiled_aws_stack::config::Pins;
use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use serde_json::{Value, json};

use super::scenario::{Before, Event, HUB, Scenario};
use crate::adopt;
use crate::support::Deploy;

const DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}]}"#;

/// The timeout of requests without a fault, and of requests whose fault was cleared.
pub const PATIENT: Duration = Duration::from_secs(20);

pub struct Stage {
    pub world: World,
    pub scenario: Scenario,
    hub: String,
}

/// Even shorter waits than in other tests. AccessDenied is not retried, so that one denied call is one failed step.
fn config() -> Config {
    Config {
        key_settle: Duration::from_millis(1),
        lease_settle: Duration::from_millis(5),
        create_key: Duration::from_secs(10),
        late_create: Duration::ZERO,
        poll: Duration::from_millis(10),
        access_denied_grace: Duration::ZERO,
        consistency: Duration::from_millis(300),
        coiled_retry: Duration::from_millis(300),
        server: None,
        pins: Pins::default(),
        response_hosts: Vec::new(),
    }
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}

impl Stage {
    /// Prepares the state in which the scenario's request arrives.
    pub async fn prepare(scenario: &Scenario) -> Self {
        let mut world = World::with(config()).await;
        world.timeout = PATIENT;
        let hub = world.hub_secret().await;
        let stage = Self { world, scenario: scenario.clone(), hub };
        stage.add_foreign_resources().await;
        stage.reach_state_before().await;
        stage
    }

    /// Resources whose names and tags resemble the stack's, and which no request may change.
    async fn add_foreign_resources(&self) {
        let iam = &self.world.iam;
        let tags = [tag("owner", "coiled"), tag("coiled-stack:stack-id", "another"), tag("note", "theirs")];
        iam.create_user().user_name("coiled2").set_tags(Some(tags.to_vec())).send().await.unwrap();
        iam.create_access_key().user_name("coiled2").send().await.unwrap();
        let theirs =
            iam.create_policy().policy_name("coiled2-setup").policy_document(DOCUMENT).tags(tag("owner", "me"));
        let arn = theirs.send().await.unwrap().policy.unwrap().arn.unwrap();
        iam.attach_user_policy().user_name("coiled2").policy_arn(arn).send().await.unwrap();
        self.world.coiled.add_workspace("team", "Team", false);
        let options = json!({"provider_name": "aws", "aws_region_name": "us-east-1"});
        self.world.coiled.connect("team", json!({"backend": "vm", "options": options}));
    }

    async fn reach_state_before(&self) {
        let world = &self.world;
        match self.scenario.before {
            Before::Nothing => return,
            Before::SetUpByCoiled => self.set_up_by_coiled().await,
            _ => drop(world.create(self.old_target()).await.succeeded()),
        }
        // A tag that a person added to the stack's user.
        world.iam.tag_user().user_name("coiled").tags(tag("note", "of a person")).send().await.unwrap();
        match self.scenario.before {
            Before::Drifted => self.drift().await,
            Before::ManualContents => world.put_everything_into("coiled").await,
            Before::ClustersRunning => world.coiled.ask_for_confirmation("ada", "2 clusters are running"),
            Before::UpdateRejected => self.update_rejected().await,
            Before::UpdateKilled => self.update_killed().await,
            Before::Nothing | Before::SetUpByCoiled | Before::Created => {}
        }
    }

    /// Adds the boundary that the scenario asks for. The function does not put a boundary on an adopted user, because
    /// its role could not remove it.
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

    async fn update_rejected(&self) {
        self.world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
        self.world.update(self.old_target(), self.new_target()).await.failed(&["register"]);
    }

    async fn update_killed(&self) {
        let reads = self.world.coiled.calls(Call::BackendOptions).len();
        tokio::select! {
            ended = self.world.invoke(self.world.update_event(self.old_target(), self.new_target())) => panic!("the run was not killed: {ended:?}"),
            // The first read precedes the registration. The second one reads the registration back.
            () = self.world.coiled.until(|coiled| coiled.calls(Call::BackendOptions).len() > reads + 1) => {}
        }
        self.world.lease_ends().await;
    }

    fn old_target(&self) -> Value {
        self.with_secret_arn(&self.scenario.old)
    }

    fn new_target(&self) -> Value {
        self.with_secret_arn(&self.scenario.new)
    }

    fn with_secret_arn(&self, properties: &Value) -> Value {
        serde_json::from_str(&properties.to_string().replace(HUB, &self.hub)).unwrap()
    }

    /// The old and the new properties.
    pub fn targets(&self) -> [Value; 2] {
        [self.old_target(), self.new_target()].map(|properties| self.world.properties(properties))
    }

    /// The scenario's request.
    pub fn event(&self) -> Value {
        match self.scenario.event {
            Event::Create => self.world.event("Create", self.world.properties(self.old_target())),
            Event::Update => self.world.update_event(self.old_target(), self.new_target()),
            Event::Rollback => self.world.update_event(self.new_target(), self.old_target()),
            Event::Delete => self.delete(),
        }
    }

    /// The request that CloudFormation sends if the scenario's request fails.
    pub fn next(&self) -> Value {
        match self.scenario.event {
            Event::Create | Event::Delete => self.delete(),
            Event::Update | Event::Rollback => self.world.update_event(self.new_target(), self.old_target()),
        }
    }

    fn delete(&self) -> Value {
        self.world.event("Delete", self.world.properties(self.old_target()))
    }

    /// Resets every connection to Coiled until [`Stage::clear_faults`].
    pub fn make_coiled_unreachable(&self) {
        for on in [Call::Me, Call::Memberships, Call::BackendOptions, Call::Disconnect, Call::WsUpgrade] {
            self.world.coiled.fault(Fault { on, how: How::Reset, times: u32::MAX });
        }
    }

    pub fn clear_faults(&self) {
        self.world.aws.clear_faults();
        self.world.coiled.clear_faults();
        self.world.bucket.clear_faults();
    }
}
