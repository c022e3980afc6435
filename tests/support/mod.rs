//! The world around the function: an account, Coiled, and CloudFormation's end of the line; one of each for every test.

pub mod account;
mod answer;
pub mod aws;
pub mod bucket;
pub mod by_hand;
pub mod canaries;
pub mod logs;
pub mod moments;
pub mod moto;
pub mod parsers;
pub mod policy;
mod role;
mod serve;
pub mod snapshot;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_iam::config::Credentials;
use coiled_aws_stack::config::Config;
use coiled_aws_stack::handler::{Function, Invocation};
use serde_json::{Map, Value, json};
use tracing::subscriber::DefaultGuard;

use crate::stand_in::StandIn;
use account::TEST_KEY;
pub use answer::Answer;
use aws::{Aws, FUNCTION_KEY};
use bucket::Bucket;
use logs::Logs;

/// A lock that a failed test elsewhere does not take away.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything that one test needs.
pub struct World {
    /// The AWS account.
    pub aws: Aws,
    /// Coiled.
    pub coiled: StandIn,
    /// Where answers go.
    pub bucket: Bucket,
    /// The log lines of this test.
    pub logs: Logs,
    /// A client for the test's own looks and doings; its calls are not recorded as the function's.
    pub iam: aws_sdk_iam::Client,
    /// The same for Secrets Manager.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// The secret with the token.
    pub secret_arn: String,
    /// The stack's name.
    pub stack: String,
    /// Whether the stack is told the KMS key of a secret that has one.
    pub keys_are_named: bool,
    /// Whether this test is about a right that the function's role does not have.
    pub role_lacks_something: bool,
    /// How long an invocation may take.
    pub timeout: Duration,
    function: Function,
    requests: Mutex<u32>,
    /// What invocations ended with, as Lambda would print it.
    errors: Mutex<Vec<String>>,
    // Log lines come here only on the test's own thread, which a #[tokio::test] never leaves.
    _guard: DefaultGuard,
}

fn sdk(url: &str, key: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        // Without TLS, whose trusted certificates take long to read; the function has a client of its own.
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(aws_credentials(key))
        .build()
}

fn aws_credentials(key: &str) -> aws_sdk_iam::config::SharedCredentialsProvider {
    aws_sdk_iam::config::SharedCredentialsProvider::new(Credentials::new(key, "secret", None, None, "test"))
}

/// The patience of tests: as short as it can be without changing what happens.
pub fn config() -> Config {
    Config {
        key_settle: Duration::from_millis(5),
        lease_settle: Duration::from_millis(10),
        late_create: Duration::from_millis(20),
        poll: Duration::from_millis(10),
        access_denied_grace: Duration::from_secs(5),
        consistency: Duration::from_secs(3),
        coiled_retry: Duration::from_millis(800),
        server: None,
    }
}

impl World {
    /// A new account, a new Coiled, and a secret with its token.
    pub async fn new() -> Self {
        Self::with(config()).await
    }

    /// The same, for a test about a right that the function's role does not have. It is not waited for.
    pub async fn where_role_lacks_something() -> Self {
        let config = Config { access_denied_grace: Duration::from_millis(50), ..config() };
        let mut world = Self::with(config).await;
        world.role_lacks_something = true;
        world
    }

    /// The same, with a function of another patience.
    pub async fn with(config: Config) -> Self {
        canaries::listen_to_panics();
        let logs = Logs::default();
        let guard = tracing::subscriber::set_default(coiled_aws_stack::log::lines("trace", logs.clone()));
        let (aws, coiled, bucket) = (Aws::start().await, StandIn::start().await, Bucket::start().await);
        // What is registered has to work, as at the real Coiled.
        coiled.verify_keys_at(&aws.url_of_coiled());
        let own = sdk(&aws.url(), TEST_KEY);
        let secrets = aws_sdk_secretsmanager::Client::new(&own);
        let made = secrets.create_secret().name("coiled-token").secret_string(coiled.token()).send().await.unwrap();
        Self {
            function: Function::new(&sdk(&aws.url(), FUNCTION_KEY), config).unwrap(),
            iam: aws_sdk_iam::Client::new(&own),
            secrets,
            secret_arn: made.arn.unwrap(),
            stack: "coiled".into(),
            keys_are_named: true,
            role_lacks_something: false,
            timeout: Duration::from_secs(20),
            requests: Mutex::new(0),
            errors: Mutex::default(),
            aws,
            coiled,
            bucket,
            logs,
            _guard: guard,
        }
    }

    /// The properties that every template passes, and these; `null` takes one away.
    pub fn properties(&self, more: Value) -> Value {
        let mut map = Map::new();
        map.insert("ServiceToken".into(), json!("arn:aws:lambda:us-east-1:111122223333:function:coiled"));
        map.insert("CoiledTokenSecretArn".into(), json!(self.secret_arn));
        map.insert("CoiledServer".into(), json!(self.coiled.url()));
        map.extend(more.as_object().cloned().unwrap_or_default());
        map.retain(|_, value| !value.is_null());
        Value::Object(map)
    }

    /// From now on the function is one that was deployed for a server.
    pub fn deployed_for(&mut self, server: String) {
        let config = Config { server: Some(server), ..config() };
        self.function = Function::new(&sdk(&self.aws.url(), FUNCTION_KEY), config).unwrap();
    }

    /// An event as CloudFormation sends it.
    pub fn event(&self, request_type: &str, properties: Value) -> Value {
        let mut count = locked(&self.requests);
        *count += 1;
        let request_id = format!("00000000-0000-4000-8000-{count:012}");
        json!({
            "RequestType": request_type,
            "ServiceToken": "arn:aws:lambda:us-east-1:111122223333:function:coiled",
            "ResponseURL": self.bucket.url(&request_id),
            "StackId": self.stack_id(),
            "RequestId": request_id,
            "LogicalResourceId": "Connection",
            "ResourceType": "Custom::CoiledConnection",
            "ResourceProperties": properties,
        })
    }

    /// The stack's id.
    pub fn stack_id(&self) -> String {
        let (account, stack) = (self.aws.account(), &self.stack);
        format!("arn:aws:cloudformation:us-east-1:{account}:stack/{stack}/11111111-2222-4333-8444-555555555555")
    }

    /// Create with these properties.
    pub async fn create(&self, more: Value) -> Answer {
        self.send(self.event("Create", self.properties(more))).await
    }

    /// Update from the one to the other.
    pub async fn update(&self, old: Value, new: Value) -> Answer {
        self.send(self.update_event(old, new)).await
    }

    /// The event of an Update.
    pub fn update_event(&self, old: Value, new: Value) -> Value {
        let mut event = self.event("Update", self.properties(new));
        event["OldResourceProperties"] = self.properties(old);
        event["PhysicalResourceId"] = json!("whatever-it-was");
        event
    }

    /// Delete with these properties.
    pub async fn delete(&self, more: Value) -> Answer {
        let mut event = self.event("Delete", self.properties(more));
        event["PhysicalResourceId"] = json!("whatever-it-was");
        self.send(event).await
    }

    /// Sends any event, and returns the one answer that came of it; it is one that CloudFormation takes.
    pub async fn send(&self, event: Value) -> Answer {
        let before = self.bucket.puts().len();
        self.invoke(event).await.expect("the answer is delivered");
        let puts = self.bucket.puts().split_off(before);
        let last = puts.last().expect("there is an answer");
        assert!(puts.iter().all(|put| put.body == last.body), "every PUT carries the same bytes");
        let confirmed = puts.iter().filter(|put| put.confirmed).count();
        assert!(last.confirmed && confirmed == 1, "an answer is sent until it is taken, and then no more");
        assert_eq!(last.faults, Vec::<String>::new(), "{}", String::from_utf8_lossy(&last.body));
        self.nothing_leaked();
        assert_eq!(self.coiled.violations(), Vec::<String>::new(), "what the function says to Coiled");
        Answer { value: serde_json::from_slice(&last.body).unwrap() }
    }

    /// Sends any event, with the role that its stack has; an error where no answer could be delivered.
    pub async fn invoke(&self, event: Value) -> Result<(), String> {
        self.deploy(&event);
        let ended = self.hand_over(event).await;
        let denied = self.aws.denied();
        assert!(
            denied.is_empty() != self.role_lacks_something,
            "what the role in template.yaml does not grant: {denied:#?}"
        );
        ended
    }

    /// Hands an event to the function, whose role stays as it is.
    pub async fn hand_over(&self, event: Value) -> Result<(), String> {
        self.bucket.expect(&event);
        let log = format!("{}, stream {}", role::LOG_GROUP, policy::names::LOG_STREAM);
        let invocation = Invocation { deadline: SystemTime::now() + self.timeout, log };
        let ended = self.function.handle(event, invocation).await.map_err(|error| format!("{error} {error:?}"));
        locked(&self.errors).extend(ended.as_ref().err().cloned());
        ended
    }
}
