//! The world around the function in its tests: an AWS account, Coiled, and CloudFormation with its bucket for responses.
//! Each test has a world of its own.
//!
//! - [`aws`]: a layer in front of moto that adds AWS behavior that moto lacks. [`moto`] starts moto.
//! - [`coiled_stand_in`]: the stand-in for Coiled, in a crate of its own.
//! - [`bucket`]: checks and keeps the responses. [`canaries`]: searches everything that the function outputs for secrets.
//! - [`policy`]: renders template.yaml and judges the role in it.
//! - [`account`], [`snapshot`]: read the account. [`by_hand`]: what people change in it. [`moments`]: events that are
//!   killed, or that arrive twice.
//! - [`lambda`]: a binary of the function, as Lambda runs it. [`tls`]: servers that speak TLS.
//!
//! The crate does not depend on the function's crate. It sees only what AWS, Coiled and CloudFormation see, so the same
//! world can judge another program: anything that is a [`Function`].

// A world that is used wrongly must fail its test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
// Fields and enum variants that AWS named need no second name.
#![allow(missing_docs)]

pub mod account;
mod answer;
pub mod aws;
pub mod bucket;
pub mod by_hand;
pub mod canaries;
pub mod lambda;
pub mod logs;
pub mod moments;
pub mod moto;
pub mod policy;
mod role;
mod serve;
pub mod snapshot;
pub mod tls;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_iam::config::Credentials;
use coiled_stand_in::StandIn;
use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value, json};
use tracing::Subscriber;
use tracing::subscriber::DefaultGuard;

use account::TEST_KEY;
pub use answer::FunctionResponse;
use aws::{Aws, FUNCTION_KEY};
use bucket::Bucket;
use logs::Logs;

/// The function in this process, as it was deployed.
pub trait Function {
    /// Handles one event. Returns the error that Lambda would log.
    fn handle(&self, event: Value, invocation: Invocation) -> LocalBoxFuture<'_, Result<(), String>>;
}

/// What Lambda tells the function about an invocation.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// When Lambda kills the function.
    pub deadline: SystemTime,
    /// Log group and stream.
    pub log: String,
}

/// The folder of the project, which contains template.yaml.
pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is a folder of the project")
}

/// Locks a mutex even if it is poisoned, so that one failed test does not fail the others.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The function and the services that one test uses.
pub struct World {
    pub aws: Aws,
    pub coiled: StandIn,
    pub bucket: Bucket,
    pub logs: Logs,
    /// An IAM client for the test itself. Its calls are not recorded as the function's.
    pub iam: aws_sdk_iam::Client,
    /// A Secrets Manager client for the test itself.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// The secret that contains the Coiled token.
    pub secret_arn: String,
    /// The name of the stack.
    pub stack: String,
    /// Whether the stack's KMS parameters name the keys of its secrets.
    pub keys_are_named: bool,
    /// Whether the function's role is missing a permission in this test.
    pub role_lacks_something: bool,
    /// The Lambda timeout of each invocation.
    pub timeout: Duration,
    function: Option<Box<dyn Function>>,
    requests: Mutex<u32>,
    /// The IDs of the requests that were a Create.
    creates: Mutex<BTreeSet<String>>,
    /// Whether CloudFormation has a physical ID without a workspace, as for a stack that was created with `Workspace`.
    has_plain_id: bool,
    /// The errors that invocations returned, as Lambda would log them.
    errors: Mutex<Vec<String>>,
    // The subscriber belongs to the current thread. A #[tokio::test] stays on one thread, so the log is this test's
    // own.
    subscriber: Option<DefaultGuard>,
}

/// The configuration of an AWS client with this endpoint and access key ID.
pub fn sdk(url: &str, key: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        // Plain HTTP, because loading the trusted certificates is slow. The function builds its own HTTP client.
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(aws_credentials(key))
        .build()
}

fn aws_credentials(key: &str) -> aws_sdk_iam::config::SharedCredentialsProvider {
    aws_sdk_iam::config::SharedCredentialsProvider::new(Credentials::new(key, "secret", None, None, "test"))
}

impl World {
    /// Starts a new account and a new Coiled server, and stores the token in a secret. There is no function yet.
    pub async fn without_function() -> Self {
        canaries::listen_to_panics();
        let (aws, coiled, bucket) = (Aws::start().await, StandIn::start().await, Bucket::start().await);
        // Coiled calls AWS with a new key before it stores the key. The stand-in does the same.
        coiled.verify_keys_at(&aws.url_of_coiled());
        let own = sdk(&aws.url(), TEST_KEY);
        let secrets = aws_sdk_secretsmanager::Client::new(&own);
        let token = secrets.create_secret().name("coiled-token").secret_string(coiled.token()).send().await.unwrap();
        Self {
            function: None,
            iam: aws_sdk_iam::Client::new(&own),
            secrets,
            secret_arn: token.arn.unwrap(),
            stack: "coiled".into(),
            keys_are_named: true,
            role_lacks_something: false,
            timeout: Duration::from_secs(20),
            requests: Mutex::new(0),
            creates: Mutex::default(),
            has_plain_id: false,
            errors: Mutex::default(),
            aws,
            coiled,
            bucket,
            logs: Logs::default(),
            subscriber: None,
        }
    }

    /// Replaces the function.
    pub fn run(&mut self, function: impl Function + 'static) {
        self.function = Some(Box::new(function));
    }

    /// Makes `lines` the subscriber of this test. It must write to [`World::logs`].
    pub fn log_with(&mut self, lines: impl Subscriber + Send + Sync) {
        self.subscriber = Some(tracing::subscriber::set_default(lines));
    }

    /// The configuration of the function's own AWS clients.
    pub fn sdk_of_function(&self) -> SdkConfig {
        sdk(&self.aws.url(), FUNCTION_KEY)
    }

    /// The properties that every stack passes, combined with `more`. A `null` in `more` removes a property.
    pub fn properties(&self, more: Value) -> Value {
        let mut map = Map::new();
        map.insert("ServiceToken".into(), json!("arn:aws:lambda:us-east-1:111122223333:function:coiled"));
        map.insert("CoiledTokenSecretArn".into(), json!(self.secret_arn));
        map.insert("CoiledServer".into(), json!(self.coiled.url()));
        map.extend(more.as_object().cloned().unwrap_or_default());
        map.retain(|_, value| !value.is_null());
        Value::Object(map)
    }

    /// The ARN of a secret with a Docker Hub token, which is created on the first call.
    pub async fn hub_secret(&self) -> String {
        let created = self.secrets.create_secret().name("hub-token").secret_string("hub-token-c4n4ry-0123456789");
        match created.send().await {
            Ok(created) => created.arn.unwrap(),
            Err(_) => self.secrets.describe_secret().secret_id("hub-token").send().await.unwrap().arn.unwrap(),
        }
    }

    /// From now on, CloudFormation sends the physical ID of a stack that was created with `Workspace`.
    pub fn forget_workspace_in_id(&mut self) {
        self.has_plain_id = true;
    }

    /// The physical ID that CloudFormation stored from the response to the last Create. It generates one if there was
    /// no response.
    fn physical_id(&self) -> String {
        let creates = locked(&self.creates);
        let is_create = |value: &Value| value["RequestId"].as_str().is_some_and(|id| creates.contains(id));
        let puts = self.bucket.puts().into_iter().rev().filter(|put| put.confirmed);
        let responses = puts.map(|put| serde_json::from_slice::<Value>(&put.body).unwrap_or_default());
        let stored = responses.filter(is_create).find(|value| value["StackId"] == self.stack_id());
        let id = stored.and_then(|value| value["PhysicalResourceId"].as_str().map(str::to_owned));
        let id = id.unwrap_or_else(|| "coiled-Connection-1A2B3C4D5E6F".to_owned());
        if self.has_plain_id { id.split('/').next().unwrap_or_default().to_owned() } else { id }
    }

    /// An event as CloudFormation sends it, with a new request ID.
    pub fn event(&self, request_type: &str, properties: Value) -> Value {
        let mut count = locked(&self.requests);
        *count += 1;
        let request_id = format!("00000000-0000-4000-8000-{count:012}");
        let mut event = json!({
            "RequestType": request_type,
            "ServiceToken": "arn:aws:lambda:us-east-1:111122223333:function:coiled",
            "ResponseURL": self.bucket.url(&request_id),
            "StackId": self.stack_id(),
            "RequestId": request_id,
            "LogicalResourceId": "Connection",
            "ResourceType": "Custom::CoiledConnection",
            "ResourceProperties": properties,
        });
        if request_type == "Create" {
            locked(&self.creates).insert(request_id);
        } else {
            event["PhysicalResourceId"] = json!(self.physical_id());
        }
        event
    }

    pub fn stack_id(&self) -> String {
        let (account, stack) = (self.aws.account(), &self.stack);
        format!("arn:aws:cloudformation:us-east-1:{account}:stack/{stack}/11111111-2222-4333-8444-555555555555")
    }

    /// Sends a Create with these properties in addition to the required ones.
    pub async fn create(&self, more: Value) -> FunctionResponse {
        self.send(self.event("Create", self.properties(more))).await
    }

    /// Sends an Update from the old to the new properties.
    pub async fn update(&self, old: Value, new: Value) -> FunctionResponse {
        self.send(self.update_event(old, new)).await
    }

    pub fn update_event(&self, old: Value, new: Value) -> Value {
        let mut event = self.event("Update", self.properties(new));
        event["OldResourceProperties"] = self.properties(old);
        event
    }

    /// Sends a Delete with these properties in addition to the required ones.
    pub async fn delete(&self, more: Value) -> FunctionResponse {
        self.send(self.event("Delete", self.properties(more))).await
    }

    /// Sends an event and returns its only response, which CloudFormation must accept as valid.
    pub async fn send(&self, event: Value) -> FunctionResponse {
        let before = self.bucket.puts().len();
        self.invoke(event).await.expect("the response is delivered");
        let puts = self.bucket.puts().split_off(before);
        let last = puts.last().expect("there is a response");
        assert!(puts.iter().all(|put| put.body == last.body), "the PUTs have different bodies");
        let confirmed = puts.iter().filter(|put| put.confirmed).count();
        assert!(last.confirmed && confirmed == 1, "PUTs must stop after the first one that the bucket confirms");
        assert_eq!(last.faults, Vec::<String>::new(), "{}", String::from_utf8_lossy(&last.body));
        self.nothing_leaked();
        assert_eq!(self.coiled.violations(), Vec::<String>::new(), "protocol violations at Coiled");
        FunctionResponse { value: serde_json::from_slice(&last.body).unwrap() }
    }

    /// Sends an event to a function with the role of the event's stack. Returns an error if no response was delivered.
    pub async fn invoke(&self, event: Value) -> Result<(), String> {
        self.deploy(&event);
        let ended = self.hand_over(event).await;
        let denied = self.aws.denied();
        assert!(
            denied.is_empty() != self.role_lacks_something,
            "permissions that the role in template.yaml does not grant: {denied:#?}"
        );
        ended
    }

    /// Passes an event to the function without a change to its role.
    pub async fn hand_over(&self, event: Value) -> Result<(), String> {
        self.bucket.expect(&event);
        let log = format!("{}, stream {}", role::LOG_GROUP, policy::names::LOG_STREAM);
        let invocation = Invocation { deadline: SystemTime::now() + self.timeout, log };
        let ended = self.function.as_ref().expect("the world has a function").handle(event, invocation).await;
        locked(&self.errors).extend(ended.as_ref().err().cloned());
        ended
    }
}
