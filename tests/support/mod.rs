//! Deploys the function into the tests' world.

pub mod parsers;

use std::path::Path;
use std::time::Duration;

use aws_config::SdkConfig;
use coiled_aws_stack::config::{Config, Pins};
use coiled_aws_stack::handler;
use coiled_world::aws::FUNCTION_KEY;
use coiled_world::lambda::Process;
use coiled_world::policy::record;
use coiled_world::{Function, Invocation, World, sdk};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

/// The settle times and retry periods of the tests. They are as short as possible without a change in behavior.
pub fn config() -> Config {
    Config {
        key_settle: Duration::from_millis(5),
        lease_settle: Duration::from_millis(10),
        create_key: Duration::from_secs(10),
        late_create: Duration::from_millis(20),
        poll: Duration::from_millis(10),
        access_denied_grace: Duration::from_secs(5),
        consistency: Duration::from_secs(3),
        coiled_retry: Duration::from_millis(800),
        server: None,
        pins: Pins::default(),
        // `deploy` adds this world's bucket.
        response_hosts: Vec::new(),
    }
}

/// The handler in this process.
struct Deployed(handler::Function);

impl Function for Deployed {
    fn handle(&self, event: Value, Invocation { deadline, log }: Invocation) -> LocalBoxFuture<'_, Result<(), String>> {
        let ended = self.0.handle(event, handler::Invocation { deadline, log });
        ended.map(|ended| ended.map_err(|error| format!("{error} {error:?}"))).boxed_local()
    }
}

/// Worlds with this crate's function.
pub trait Deploy: Sized {
    /// A world whose function has the configuration of most tests.
    async fn new() -> Self {
        Self::with(config()).await
    }

    /// A world whose function has this configuration.
    async fn with(config: Config) -> Self;

    /// A world in which a Create has succeeded. Its AWS calls are forgotten.
    async fn after_create() -> Self;

    /// A world for tests in which the function's role is missing a permission. The function retries AccessDenied for
    /// only 50 ms.
    async fn where_role_lacks_something() -> Self;

    /// Replaces the function with one that has this configuration and these AWS clients.
    fn deploy_to(&mut self, sdk: &SdkConfig, config: Config);

    /// Replaces the function with one that was deployed for this Coiled server.
    fn deployed_for(&mut self, server: String);

    /// Replaces the function with one that has the environment that the template gives it for these properties.
    fn deployed_by_template(&mut self, more: Value);

    /// Replaces the function with one whose AWS endpoints do not exist.
    fn cannot_reach_aws(&mut self);
}

impl Deploy for World {
    async fn with(config: Config) -> Self {
        record::keep_in(Path::new(env!("CARGO_TARGET_TMPDIR")));
        let mut world = Self::without_function().await;
        world.log_with(coiled_aws_stack::log::lines("trace", world.logs.clone()));
        world.deploy_to(&world.sdk_of_function(), config);
        world
    }

    async fn after_create() -> Self {
        let world = Self::new().await;
        world.create(json!({})).await.succeeded();
        world.aws.forget_calls();
        world
    }

    async fn where_role_lacks_something() -> Self {
        let mut world = Self::with(Config { access_denied_grace: Duration::from_millis(50), ..config() }).await;
        world.role_lacks_something = true;
        world
    }

    fn deploy_to(&mut self, sdk: &SdkConfig, config: Config) {
        let config = Config { response_hosts: vec![self.bucket.host()], ..config };
        self.run(Deployed(handler::Function::new(sdk, config).unwrap()));
    }

    fn deployed_for(&mut self, server: String) {
        self.deploy_to(&self.sdk_of_function(), Config { server: Some(server), ..config() });
    }

    fn deployed_by_template(&mut self, more: Value) {
        let environment = self.environment(&self.properties(more));
        let variable = |name: &str| environment.get(name).cloned();
        let config = Config { server: variable("COILED_SERVER"), pins: Pins::read(variable), ..config() };
        self.deploy_to(&self.sdk_of_function(), config);
    }

    fn cannot_reach_aws(&mut self) {
        // Nothing ever listens on port 1.
        self.deploy_to(&sdk("http://127.0.0.1:1", FUNCTION_KEY), config());
    }
}

/// The function's binary with the configuration of most tests, and with an authority that it trusts.
pub fn binary(authorities: &Path) -> Process<'_> {
    let (config, millis) = (config(), |duration: Duration| duration.as_millis().to_string());
    Process {
        program: Path::new(env!("CARGO_BIN_EXE_bootstrap")),
        settings: vec![
            ("KEY_SETTLE_MILLIS", millis(config.key_settle)),
            ("LEASE_SETTLE_MILLIS", millis(config.lease_settle)),
            ("LATE_CREATE_MILLIS", millis(config.late_create)),
            ("POLL_MILLIS", millis(config.poll)),
            ("CONSISTENCY_MILLIS", millis(config.consistency)),
            ("COILED_RETRY_MILLIS", millis(config.coiled_retry)),
        ],
        authorities,
        aws: String::new(),
        coiled: String::new(),
        response_host: String::new(),
        timeout: Duration::from_secs(20),
    }
}
