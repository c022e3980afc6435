//! Keys as STS sees them. moto's STS answers for any key, and at once; the real one takes 5 to 15 s to know a new key,
//! flickers meanwhile, and refuses a key that is unknown, deleted or inactive.

use std::collections::VecDeque;

use super::call::AwsCall;
use super::reply::{Reply, all_inside, inside};
use super::{FUNCTION_KEY, Shared};
use crate::support::locked;

/// A key that was made through this layer.
pub(super) struct Key {
    user: String,
    pattern: VecDeque<bool>,
}

impl Shared {
    /// GetCallerIdentity, for the function and for the keys of its users.
    pub(super) async fn caller_identity(&self, call: &AwsCall) -> Reply {
        // A region that the account has not enabled knows no key of that account, not even the function's.
        let region_is_off = locked(&self.facts).disabled_regions.contains(&call.region);
        let partition = if call.region.starts_with("cn-") { "aws-cn" } else { "aws" };
        let account = &self.account;
        let arn = match (region_is_off, call.access_key_id == FUNCTION_KEY) {
            (true, _) => None,
            (false, true) => Some(format!("arn:{partition}:sts::{account}:assumed-role/function/function")),
            (false, false) => self
                .user_of(&call.access_key_id)
                .await
                .map(|user| format!("arn:{partition}:iam::{account}:user/{user}")),
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
    async fn user_of(&self, id: &str) -> Option<String> {
        let (user, works) = {
            let mut facts = locked(&self.facts);
            let key = facts.keys.get_mut(id)?;
            (key.user.clone(), key.pattern.pop_front().unwrap_or(true))
        };
        let list = self.look("ListAccessKeys", &[("UserName", &user)]).await;
        let is_active =
            |member: &&str| inside(member, "AccessKeyId") == Some(id) && inside(member, "Status") == Some("Active");
        (works && all_inside(&list, "member").iter().any(is_active)).then_some(user)
    }

    /// Notes a key that was just made.
    pub(super) fn note_key(&self, call: &AwsCall, reply: &Reply) {
        let Some(id) = inside(&reply.body, "AccessKeyId") else { return };
        let mut facts = locked(&self.facts);
        let pattern = facts.key_pattern.iter().copied().collect();
        facts.secrets.extend(inside(&reply.body, "SecretAccessKey").map(str::to_owned));
        facts.keys.insert(id.to_owned(), Key { user: call.param("UserName").to_owned(), pattern });
    }
}
