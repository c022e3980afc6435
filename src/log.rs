//! Logs in JSON, of this crate alone.
//!
//! Below `warn` the libraries log requests and answers whole, and those hold keys and signatures. So AWS_LAMBDA_LOG_LEVEL
//! is for our own lines; theirs are never shown.

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Sends log lines to standard output, and panics with them.
pub fn init() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").unwrap_or_default();
    // Only a second call could fail, and then the first one's lines go on.
    let _ = tracing::subscriber::set_global_default(lines(&level, std::io::stdout));
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panic");
    }));
}

/// One JSON object a line, at a level of this crate's, to wherever the writer leads.
pub fn lines<W>(level: &str, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false).with_span_list(false);
    lines.with_env_filter(filter(level)).with_writer(writer).finish()
}

/// The filter for a level; one that is unknown means `info`.
fn filter(level: &str) -> EnvFilter {
    let level = match level.to_ascii_lowercase().as_str() {
        known @ ("trace" | "debug" | "info" | "warn" | "error") => known.to_owned(),
        "fatal" => "error".to_owned(),
        _ => "info".to_owned(),
    };
    EnvFilter::new(format!("off,coiled_aws_stack={level}"))
}

/// Log group and stream of this process, as Lambda tells them.
pub fn location() -> String {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let (group, stream) = (variable("AWS_LAMBDA_LOG_GROUP_NAME"), variable("AWS_LAMBDA_LOG_STREAM_NAME"));
    match (group.as_str(), stream.as_str()) {
        ("", _) => "standard output of the function".to_owned(),
        (group, "") => group.to_owned(),
        (group, stream) => format!("{group}, stream {stream}"),
    }
}
