//! Keys as STS sees them. moto's STS answers for any key, and at once; the real one takes 5 to 15 s to know a new key,
//! flickers meanwhile, and refuses a key that is unknown, deleted or inactive.

use std::collections::VecDeque;
use std::time::Instant;

use super::call::AwsCall;
use super::reply::{Reply, inside};
use super::{FUNCTION_KEY, Facts, Shared};
use crate::support::account::TEST_KEY;
use crate::support::locked;

/// A key that was made through this layer.
pub(super) struct Key {
    user: String,
    active: bool,
    /// STS knows it from then on, but for the pattern.
    known_from: Instant,
    pattern: VecDeque<bool>,
}

impl Shared {
    /// GetCallerIdentity, for the function, a person and for the keys of its users.
    pub(super) fn caller_identity(&self, call: &AwsCall) -> Reply {
        // A region that the account has not enabled knows no key of that account, not even the function's.
        let region_is_off = locked(&self.facts).disabled_regions.contains(&call.region);
        let partition = if call.region.starts_with("cn-") { "aws-cn" } else { "aws" };
        let account = &self.account;
        let arn = match (region_is_off, [FUNCTION_KEY, TEST_KEY].contains(&call.access_key_id.as_str())) {
            (true, _) => None,
            (false, true) => Some(format!("arn:{partition}:sts::{account}:assumed-role/function/function")),
            (false, false) => {
                self.user_of(&call.access_key_id).map(|user| format!("arn:{partition}:iam::{account}:user/{user}"))
            }
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

    /// Whose key it is, if it works at this moment.
    fn user_of(&self, id: &str) -> Option<String> {
        let mut facts = locked(&self.facts);
        let key = facts.keys.get_mut(id)?;
        let is_known = Instant::now() >= key.known_from && key.pattern.pop_front().unwrap_or(true);
        (is_known && key.active).then(|| key.user.clone())
    }

    /// Notes a key that was just made, changed or deleted.
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

impl Facts {
    /// Whose key it is, whether it works or not.
    pub(super) fn owner_of(&self, id: &str) -> Option<&str> {
        self.keys.get(id).map(|key| key.user.as_str())
    }

    fn add_key(&mut self, call: &AwsCall, reply: &Reply) {
        let Some(id) = inside(&reply.body, "AccessKeyId") else { return };
        self.secrets.extend(inside(&reply.body, "SecretAccessKey").map(str::to_owned));
        let pattern = self.key_pattern.iter().copied().collect();
        let (user, known_from) = (call.param("UserName").to_owned(), Instant::now() + self.key_delay);
        self.keys.insert(id.to_owned(), Key { user, active: true, known_from, pattern });
    }
}
