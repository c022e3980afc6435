//! What can go wrong between the function and AWS.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};

use super::call::AwsCall;
use super::reply::Reply;
use super::{FUNCTION_KEY, Shared};
use crate::support::locked;

/// Something that goes wrong at one kind of call.
#[derive(Debug, Clone)]
pub struct AwsFault {
    /// The action; `iam:*` is every one of a service, `*` every one there is.
    pub action: &'static str,
    /// What happens.
    pub how: AwsHow,
    /// How often, in a row; `u32::MAX` is for ever.
    pub times: u32,
}

impl AwsFault {
    fn is_for(&self, call: &AwsCall) -> bool {
        self.action == "*" || self.action == call.action || self.action.strip_suffix(":*") == Some(&call.service)
    }
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum AwsHow {
    /// The role has not arrived yet, or lacks the right.
    AccessDenied,
    /// Too many calls.
    Throttled,
    /// No answer, the connection stays open.
    Hang,
    /// The connection ends without an answer; nothing took effect.
    Reset,
    /// An answer that makes no sense; nothing took effect.
    Garbage,
    /// It took effect, and the connection ends without an answer.
    TookEffectThenDropped,
    /// The service's own error.
    Error(u16, &'static str, &'static str),
    /// All goes well, this much later.
    Slow(Duration),
}

impl Shared {
    /// The role's rights have not arrived everywhere.
    pub(super) fn not_yet_allowed(&self, call: &AwsCall) -> Option<Reply> {
        let service = format!("{}:*", call.service);
        let rights = locked(&self.facts).rights.clone();
        let is_missing = |right: &&str| rights.get(*right).is_some_and(|arrival| *arrival > Instant::now());
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
        // A success without data is told by its status alone, so that nobody could tell this one from it.
        AwsHow::Garbage if !call.has_data() => Reply::xml(502, "<<garbage".into()),
        AwsHow::Garbage => Reply::xml(200, "<<garbage".into()),
        AwsHow::TookEffectThenDropped => {
            shared.answer(call, method, uri, headers, body).await;
            Reply::lost()
        }
        AwsHow::Error(status, code, message) => Reply::error(call, status, code, message),
        AwsHow::Slow(pause) => {
            tokio::time::sleep(pause).await;
            shared.answer(call, method, uri, headers, body).await
        }
    }
}
