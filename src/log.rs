//! Writes the logs of this crate as JSON.
//!
//! At levels below `warn`, the libraries log complete requests and responses, which contain keys and signatures. So the
//! logs of libraries are always off, and `AWS_LAMBDA_LOG_LEVEL` applies to this crate only.

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Logs to standard output. For a panic, only the location is logged.
pub fn init() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").unwrap_or_default();
    // This fails only on a second call, and then the first subscriber keeps logging.
    let _ = tracing::subscriber::set_global_default(lines(&level, std::io::stdout));
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panic");
    }));
}

/// A subscriber that writes one JSON object per line to `writer`. An unknown `level` means `info`.
pub fn lines<W>(level: &str, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false).with_span_list(false);
    lines.with_env_filter(filter(level)).with_writer(writer).finish()
}

fn filter(level: &str) -> EnvFilter {
    let level = match level.to_ascii_lowercase().as_str() {
        known @ ("trace" | "debug" | "info" | "warn" | "error") => known.to_owned(),
        "fatal" => "error".to_owned(),
        _ => "info".to_owned(),
    };
    EnvFilter::new(format!("off,coiled_aws_stack={level}"))
}

/// The log group and stream of this process, from Lambda's environment variables.
pub fn location() -> String {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let (group, stream) = (variable("AWS_LAMBDA_LOG_GROUP_NAME"), variable("AWS_LAMBDA_LOG_STREAM_NAME"));
    match (group.as_str(), stream.as_str()) {
        ("", _) => "the function's standard output".to_owned(),
        (group, "") => group.to_owned(),
        (group, stream) => format!("{group}, stream {stream}"),
    }
}
