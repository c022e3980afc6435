//! Access keys as STS sees them. For its first 5 to 15 s, STS accepts a new key only intermittently. It always rejects
//! keys that are unknown, deleted or inactive. moto's STS accepts every key at once.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime};

use aws_sdk_iam::primitives::{DateTime, DateTimeFormat};

use super::call::AwsCall;
use super::reply::{Reply, inside};
use super::{FUNCTION_KEY, Facts, Shared};
use crate::account::TEST_KEY;
use crate::canaries::CANARY;
use crate::locked;

/// Replaces the beginning of a new secret access key with the canary and `/+`. AWS's secret access keys contain these
/// two characters too, and JSON and URLs can encode them in several ways.
pub(super) fn add_canary(reply: &mut Reply) {
    let Some(secret) = inside(&reply.body, "SecretAccessKey").map(str::to_owned) else { return };
    let with_canary = format!("{CANARY}/+{}", secret.get(CANARY.len() + 2..).unwrap_or_default());
    reply.body = reply.body.replace(&secret, &with_canary);
}

/// A key that was created through this layer.
pub(super) struct Key {
    user: String,
    active: bool,
    /// STS accepts the key from this time on, except for the failures in `pattern`.
    known_from: Instant,
    pattern: VecDeque<bool>,
    last_used: Option<Use>,
}

struct Use {
    service: String,
    region: String,
    at: SystemTime,
}

impl Key {
    pub(super) fn was_used(&mut self, service: &str, region: &str, at: SystemTime) {
        self.last_used = Some(Use { service: service.to_owned(), region: region.to_owned(), at });
    }
}

impl Use {
    /// The XML element that GetAccessKeyLastUsed returns. For a key that was never used, it contains no date, and "N/A"
    /// as service and region (`AccessKeyLastUsed` in the IAM API reference).
    fn element(last: Option<&Self>) -> String {
        let (service, region) = last.map_or(("N/A", "N/A"), |last| (&*last.service, &*last.region));
        let date = last.and_then(|last| DateTime::from_secs(unix(last.at)).fmt(DateTimeFormat::DateTime).ok());
        let date = date.map(|date| format!("<LastUsedDate>{date}</LastUsedDate>")).unwrap_or_default();
        let rest = format!("<ServiceName>{service}</ServiceName><Region>{region}</Region>");
        format!("<AccessKeyLastUsed>{date}{rest}</AccessKeyLastUsed>")
    }
}

fn unix(at: SystemTime) -> i64 {
    i64::try_from(at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

impl Shared {
    /// GetAccessKeyLastUsed. moto does not know the calls to this layer's STS.
    pub(super) fn last_used(&self, call: &AwsCall) -> Option<Reply> {
        let facts = locked(&self.facts);
        let key = facts.keys.get(call.param("AccessKeyId"))?;
        let last = Use::element(key.last_used.as_ref());
        Some(Reply::done(call, &format!("<UserName>{}</UserName>{last}", key.user)))
    }

    /// GetCallerIdentity for the function, the test, and the keys of the account's users.
    pub(super) fn caller_identity(&self, call: &AwsCall) -> Reply {
        // In a region that the account has not enabled, STS rejects every key of the account, even the function's.
        let region_is_off = locked(&self.facts).disabled_regions.contains(&call.region);
        let partition = if call.region.starts_with("cn-") { "aws-cn" } else { "aws" };
        let account = &self.account;
        let arn = match (region_is_off, [FUNCTION_KEY, TEST_KEY].contains(&call.access_key_id.as_str())) {
            (true, _) => None,
            (false, true) => Some(format!("arn:{partition}:sts::{account}:assumed-role/function/function")),
            (false, false) => self.user_of(call).map(|user| format!("arn:{partition}:iam::{account}:user/{user}")),
        };
        let Some(arn) = arn else {
            return Reply::error(
                call,
                403,
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
            );
        };
        Reply::xml(
            200,
            format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                 <Arn>{arn}</Arn><UserId>AIDA</UserId><Account>{account}</Account></GetCallerIdentityResult>\
                 <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
            ),
        )
    }

    /// The user of the key that signed a call to STS, if STS accepts the key now.
    fn user_of(&self, call: &AwsCall) -> Option<String> {
        let mut facts = locked(&self.facts);
        let key = facts.keys.get_mut(&call.access_key_id)?;
        let is_known = Instant::now() >= key.known_from && key.pattern.pop_front().unwrap_or(true);
        if !is_known || !key.active {
            return None;
        }
        key.was_used("sts", &call.region, SystemTime::now());
        Some(key.user.clone())
    }

    /// Records a key that was created, changed or deleted.
    pub(super) fn note_key(&self, call: &AwsCall, reply: &Reply) {
        let mut facts = locked(&self.facts);
        let id = call.param("AccessKeyId");
        match (call.action.as_str(), facts.keys.get_mut(id)) {
            ("DeleteAccessKey", _) => drop(facts.keys.remove(id)),
            ("UpdateAccessKey", Some(key)) => key.active = call.param("Status") == "Active",
            _ => facts.add_key(call, reply),
        }
    }
}

/// A user can have more than two keys, because IAM checks its limit late: terraform-provider-aws#39693 reports eight.
impl Shared {
    pub(super) fn with_further_keys(&self, user: &str, shown: String) -> String {
        let member = |id: &String| {
            format!(
                "<member><UserName>{user}</UserName><AccessKeyId>{id}</AccessKeyId><Status>Active</Status>\
                 <CreateDate>2026-01-01T00:00:00Z</CreateDate></member>"
            )
        };
        let facts = locked(&self.facts);
        let members: String = facts.further_keys.get(user).into_iter().flatten().map(member).collect();
        shown.replace("</AccessKeyMetadata>", &format!("{members}</AccessKeyMetadata>"))
    }

    pub(super) fn delete_further_key(&self, call: &AwsCall) -> Option<Reply> {
        let mut facts = locked(&self.facts);
        let keys = facts.further_keys.get_mut(call.param("UserName"))?;
        let place = keys.iter().position(|id| id == call.param("AccessKeyId"))?;
        keys.remove(place);
        Some(Reply::done(call, ""))
    }

    /// moto counts only its own keys. A user with a further key also has at least one of moto's, so the limit is reached.
    pub(super) fn too_many_keys(&self, call: &AwsCall) -> Option<Reply> {
        let has_further =
            locked(&self.facts).further_keys.get(call.param("UserName")).is_some_and(|keys| !keys.is_empty());
        has_further.then(|| super::limits::exceeded(call, "AccessKeysPerUser", 2))
    }
}

impl super::Aws {
    /// Adds another key to a user that already has one or more, regardless of the limit of two.
    pub fn add_further_key(&self, user: &str, id: &str) {
        locked(&self.shared.facts).further_keys.entry(user.to_owned()).or_default().push(id.to_owned());
    }
}

impl Facts {
    /// The user of a key, whether or not STS accepts the key.
    pub(super) fn owner_of(&self, id: &str) -> Option<&str> {
        let further = || self.further_keys.iter().find(|(_, keys)| keys.iter().any(|key| key == id));
        self.keys.get(id).map(|key| key.user.as_str()).or_else(|| Some(further()?.0.as_str()))
    }

    fn add_key(&mut self, call: &AwsCall, reply: &Reply) {
        let Some(id) = inside(&reply.body, "AccessKeyId") else { return };
        self.secrets.extend(inside(&reply.body, "SecretAccessKey").map(str::to_owned));
        let pattern = self.key_pattern.iter().copied().collect();
        let (user, known_from) = (call.param("UserName").to_owned(), Instant::now() + self.key_delay);
        self.keys.insert(id.to_owned(), Key { user, active: true, known_from, pattern, last_used: None });
    }
}
