//! One recorded AWS call.

use std::collections::BTreeMap;
use std::time::Instant;

use axum::http::HeaderMap;

/// A call with its caller, its parameters and its outcome.
#[derive(Debug, Clone, Default)]
pub struct AwsCall {
    /// `iam`, `sts`, `secretsmanager`: from the signature's scope.
    pub service: String,
    /// The region in the signature's scope.
    pub region: String,
    /// The access key ID that signed the call.
    pub access_key_id: String,
    /// Whether the stand-in for Coiled made the call, and not the function.
    pub by_coiled: bool,
    /// `CreateUser`, …
    pub action: String,
    /// The form fields, or the string fields of the JSON body for Secrets Manager.
    pub params: BTreeMap<String, String>,
    /// The HTTP status of the reply. 0 or 1 if the connection was closed instead.
    pub status: u16,
    pub error_code: Option<String>,
    /// The times of arrival and reply.
    pub span: Option<(Instant, Instant)>,
}

impl AwsCall {
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let header =
            |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let authorization = header("authorization");
        let scope =
            authorization.split("Credential=").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
        let scope: Vec<&str> = scope.split('/').collect();
        let part = |n: usize| scope.get(n).copied().unwrap_or_default().to_owned();
        let target = header("x-amz-target");
        let params = if target.is_empty() { form(body) } else { json(body) };
        let action = target.rsplit('.').next().filter(|action| !action.is_empty()).map(str::to_owned);
        let action = action.or_else(|| params.get("Action").cloned()).unwrap_or_default();
        Self { access_key_id: part(0), region: part(2), service: part(3), action, params, ..Self::default() }
    }

    /// The value of a parameter, empty if it is missing.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map(String::as_str).unwrap_or_default()
    }
}

fn form(body: &[u8]) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

fn json(body: &[u8]) -> BTreeMap<String, String> {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let fields = value.as_object().cloned().unwrap_or_default();
    fields.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect()
}

/// The length of the longest chain of calls in which each call began after the previous one had ended. This is the
/// number of round trips that add up to the total latency. Further pages of a list do not count, because AWS usually
/// returns up to 100 items on the first page and only this layer returns one.
pub fn round_trips(calls: &[AwsCall]) -> usize {
    let first_pages = calls.iter().filter(|call| call.param("Marker").is_empty());
    let mut spans: Vec<(Instant, Instant)> = first_pages.filter_map(|call| call.span).collect();
    spans.sort_by_key(|(_, ended)| *ended);
    let (mut trips, mut last) = (0, None);
    for (began, ended) in spans {
        if last.is_none_or(|last| began >= last) {
            (trips, last) = (trips + 1, Some(ended));
        }
    }
    trips
}
