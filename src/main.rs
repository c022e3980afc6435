//! The executable that Lambda starts. It passes each event to [`Function::handle`].

use aws_config::BehaviorVersion;
use coiled_aws_stack::cloudformation::response::Undelivered;
use coiled_aws_stack::config::Config;
use coiled_aws_stack::handler::{Function, Invocation};
use coiled_aws_stack::log;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log::init();
    let sdk = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let function = Function::new(&sdk, Config::from_env())?;
    let log = log::location();
    let handle = async |event: LambdaEvent<Value>| {
        let invocation = Invocation { deadline: event.context.deadline(), log: log.clone() };
        let undelivered =
            |error: Undelivered| Diagnostic { error_type: "Undelivered".into(), error_message: error.to_string() };
        function.handle(event.payload, invocation).await.map_err(undelivered)
    };
    lambda_runtime::run(service_fn(handle)).await
}
