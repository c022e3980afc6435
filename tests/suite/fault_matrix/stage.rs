//! Prepares an account and Coiled for one scenario, including resources that do not belong to the stack.

use std::time::Duration;

use aws_sdk_iam::types::Tag;
use coiled_aws_stack::config::Config;
use coiled_aws_stack::config::Pins;
use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::by_hand::DOCUMENT;
use serde_json::{Value, json};

use crate::scenario::Scenario;
use crate::support::Deploy;

/// The timeout of requests without a fault, and of requests whose fault was cleared.
pub const PATIENT: Duration = Duration::from_secs(20);

pub struct Stage {
    pub world: World,
    pub scenario: Scenario,
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
        let mut stage = Self { world, scenario: scenario.clone() };
        stage.add_foreign_resources().await;
        stage.scenario.prepare(&stage.world).await;
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

    /// The old and the new properties.
    pub fn targets(&self) -> [Value; 2] {
        [&self.scenario.old, &self.scenario.new].map(|properties| self.world.properties(properties.clone()))
    }

    /// The scenario's request.
    pub fn event(&self) -> Value {
        self.scenario.event(&self.world)
    }

    /// The request that CloudFormation sends if the scenario's request fails.
    pub fn next(&self) -> Value {
        self.scenario.next(&self.world)
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
