//! The world around the function: an account, Coiled, and CloudFormation's end of the line; one of each for every test.

pub mod account;
pub mod aws;
pub mod bucket;
pub mod logs;
pub mod moto;
mod serve;

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
use aws::{Aws, FUNCTION_KEY};
use bucket::{Bucket, SIGNATURE};
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
    /// How long an invocation may take.
    pub timeout: Duration,
    function: Function,
    requests: Mutex<u32>,
    // Log lines come here only on the test's own thread, which a #[tokio::test] never leaves.
    _guard: DefaultGuard,
}

/// What CloudFormation reads.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The whole answer.
    pub value: Value,
}

impl Answer {
    /// Whether it says SUCCESS.
    pub fn is_success(&self) -> bool {
        self.value["Status"] == "SUCCESS"
    }

    /// The Reason; empty for a success.
    pub fn reason(&self) -> &str {
        self.value["Reason"].as_str().unwrap_or_default()
    }

    /// One of the Data.
    pub fn data(&self, name: &str) -> &str {
        self.value["Data"][name].as_str().unwrap_or_default()
    }

    /// Panics unless it says SUCCESS.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.is_success(), "{}", self.reason());
        self
    }

    /// Panics unless it says FAILED with all these words in its Reason.
    #[track_caller]
    pub fn failed(self, words: &[&str]) -> Self {
        assert_eq!(self.value["Status"], "FAILED", "{:?}", self.value);
        for word in words {
            assert!(self.reason().contains(word), "{word:?} is not in: {}", self.reason());
        }
        self
    }
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
        poll: Duration::from_millis(10),
        access_denied_grace: Duration::from_secs(5),
        consistency: Duration::from_secs(3),
        coiled_retry: Duration::from_millis(800),
    }
}

impl World {
    /// A new account, a new Coiled, and a secret with its token.
    pub async fn new() -> Self {
        Self::with(config()).await
    }

    /// The same with another patience.
    pub async fn with(config: Config) -> Self {
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
            timeout: Duration::from_secs(20),
            requests: Mutex::new(0),
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

    /// Sends any event; an error where no answer could be delivered.
    pub async fn invoke(&self, event: Value) -> Result<(), String> {
        self.bucket.expect(&event);
        let invocation =
            Invocation { deadline: SystemTime::now() + self.timeout, log: "/aws/lambda/coiled, stream s".into() };
        self.function.handle(event, invocation).await.map_err(|error| error.to_string())
    }

    /// No secret is in any log line or answer: not the token, not a key's secret, not the signature.
    #[track_caller]
    pub fn nothing_leaked(&self) {
        let answers = self.bucket.puts().into_iter().map(|put| String::from_utf8_lossy(&put.body).into_owned());
        let texts: Vec<String> = answers.chain([self.logs.text()]).collect();
        for secret in self.known_secrets() {
            assert!(texts.iter().all(|text| !text.contains(&secret)), "{secret} has leaked");
        }
    }

    /// Everything that must never be printed, as far as this world knows it.
    pub fn known_secrets(&self) -> Vec<String> {
        self.aws.secrets().into_iter().chain([self.coiled.token(), SIGNATURE.to_owned()]).collect()
    }
}
