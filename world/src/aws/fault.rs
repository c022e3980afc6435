//! Injected faults in calls from the function to AWS.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};

use super::call::AwsCall;
use super::reply::Reply;
use super::{FUNCTION_KEY, Shared};
use crate::locked;

/// A fault in the calls of one action or service.
#[derive(Debug, Clone)]
pub struct AwsFault {
    /// The action. `iam:*` means every action of a service, `*` means every action.
    pub action: &'static str,
    pub how: AwsHow,
    /// How many calls in a row are hit. `u32::MAX` means every call until the faults are cleared.
    pub times: u32,
}

impl AwsFault {
    fn is_for(&self, call: &AwsCall) -> bool {
        self.action == "*" || self.action == call.action || self.action.strip_suffix(":*") == Some(&call.service)
    }
}

/// The kind of fault.
#[derive(Debug, Clone)]
pub enum AwsHow {
    /// The role lacks the permission, or the permission has not taken effect yet.
    AccessDenied,
    Throttled,
    /// The service sends no reply and keeps the connection open.
    Hang,
    /// The service closes the connection without a reply. The call has no effect.
    Reset,
    /// The service sends a reply that cannot be parsed. The call has no effect.
    Garbage,
    /// The call takes effect, but the connection is closed before the reply is complete.
    TookEffectThenDropped,
    /// The service fails with this status, error code and message.
    Error(u16, &'static str, &'static str),
    /// A proxy or a load balancer sends a page with this status. The call has no effect.
    Page(u16),
    /// The call takes effect, but the service fails with this status and error code.
    TookEffectThenError(u16, &'static str),
    /// The call takes effect, but a page with this status arrives in place of the reply.
    TookEffectThenPage(u16),
    /// The call takes effect, and its reply arrives without AWS's request ID.
    WithoutRequestId,
    /// The call succeeds after this delay.
    Slow(Duration),
}

/// Any text that is not an AWS reply.
const PAGE: &str = "<html><head><title>Welcome</title></head><body><h1>Welcome</h1></body></html>";

impl Shared {
    /// AccessDenied while the role's permission for this call has not taken effect yet.
    pub(super) fn not_yet_allowed(&self, call: &AwsCall) -> Option<Reply> {
        let service = format!("{}:*", call.service);
        let arrivals = locked(&self.facts).permission_arrivals.clone();
        let is_missing = |name: &&str| arrivals.get(*name).is_some_and(|arrival| *arrival > Instant::now());
        let is_denied = [service.as_str(), &call.action].iter().any(is_missing);
        (is_denied && call.access_key_id == FUNCTION_KEY).then(|| denied(call))
    }
}

fn denied(call: &AwsCall) -> Reply {
    let code = if call.service == "secretsmanager" { "AccessDeniedException" } else { "AccessDenied" };
    let status = if call.service == "secretsmanager" { 400 } else { 403 };
    Reply::error(call, status, code, &format!("not authorized to perform {}:{}", call.service, call.action))
}

pub(super) fn take(faults: &mut [AwsFault], call: &AwsCall) -> Option<AwsHow> {
    let fault = faults.iter_mut().find(|fault| fault.is_for(call) && fault.times > 0)?;
    if fault.times != u32::MAX {
        fault.times -= 1;
    }
    Some(fault.how.clone())
}

pub(super) async fn play(
    shared: &Shared,
    how: AwsHow,
    call: &AwsCall,
    (method, uri, headers, body): (Method, Uri, HeaderMap, Bytes),
) -> Reply {
    match how {
        AwsHow::AccessDenied => denied(call),
        AwsHow::Throttled => Reply::error(call, 400, "Throttling", "Rate exceeded"),
        AwsHow::Hang => std::future::pending().await,
        AwsHow::Reset => Reply::none(),
        AwsHow::Garbage => Reply::page(200, "<<garbage"),
        AwsHow::TookEffectThenDropped => {
            shared.respond(call, method, uri, headers, body).await;
            Reply::lost()
        }
        AwsHow::Error(status, code, message) => Reply::error(call, status, code, message),
        AwsHow::Page(status) => Reply::page(status, PAGE),
        AwsHow::TookEffectThenError(status, code) => {
            shared.respond(call, method, uri, headers, body).await;
            Reply::error(call, status, code, "The request processing has failed.")
        }
        AwsHow::TookEffectThenPage(status) => {
            shared.respond(call, method, uri, headers, body).await;
            Reply::page(status, PAGE)
        }
        AwsHow::WithoutRequestId => shared.respond(call, method, uri, headers, body).await.without_request_id(),
        AwsHow::Slow(pause) => {
            tokio::time::sleep(pause).await;
            shared.respond(call, method, uri, headers, body).await
        }
    }
}
