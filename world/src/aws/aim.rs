//! Injects a fault into one chosen call: the nth call with a given name.

use super::FUNCTION_KEY;
use super::call::AwsCall;
use super::fault::AwsHow;
use crate::account::TEST_KEY;

/// A fault and the call that it hits.
#[derive(Debug, Clone)]
pub struct Aim {
    /// The call's name in the form of [`AwsCall::name`].
    pub name: String,
    /// Which call with that name is hit. The first is 1.
    pub nth: usize,
    /// Whether every later call with that name is hit too.
    pub on: bool,
    pub how: AwsHow,
}

/// An aim, with the number of calls that had its name and the number of those that were hit.
#[derive(Default)]
pub(super) struct Aimed {
    aim: Option<Aim>,
    arrived: usize,
    hits: usize,
}

impl Aimed {
    pub(super) fn at(aim: Aim) -> Self {
        Self { aim: Some(aim), ..Self::default() }
    }

    pub(super) fn hits(&self) -> usize {
        self.hits
    }

    pub(super) fn take(&mut self, call: &AwsCall) -> Option<AwsHow> {
        let aim = self.aim.as_ref().filter(|aim| call.is_the_functions() && call.name() == aim.name)?;
        self.arrived += 1;
        let is_hit = self.arrived == aim.nth || (aim.on && self.arrived > aim.nth);
        self.hits += usize::from(is_hit);
        is_hit.then(|| aim.how.clone())
    }
}

impl AwsCall {
    /// Whether the function made the call, and not the test or the stand-in.
    pub fn is_the_functions(&self) -> bool {
        self.access_key_id != TEST_KEY && !self.by_coiled
    }

    /// The service, the action and the subject, without parts that differ from run to run: `iam TagUser lease`.
    pub fn name(&self) -> String {
        let parts = [self.service.clone(), self.action.clone(), self.about()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    fn about(&self) -> String {
        let last = |name: &str| self.param(name).rsplit(['/', ':']).next().unwrap_or_default().to_owned();
        let policy = [last("PolicyArn"), last("PolicyName")].concat();
        match self.action.as_str() {
            "GetCallerIdentity" if self.access_key_id == FUNCTION_KEY => "as itself".into(),
            "GetCallerIdentity" => "with the new key".into(),
            // The ARN of a secret ends with a hyphen and six random characters.
            "GetSecretValue" => last("SecretId").rsplit_once('-').map(|(name, _)| name.to_owned()).unwrap_or_default(),
            "TagUser" | "UntagUser" => self.tag_keys(),
            _ => policy,
        }
    }

    fn tag_keys(&self) -> String {
        let keys = self.params.iter().filter(|(name, _)| name.ends_with(".Key") || name.starts_with("TagKeys."));
        let mut keys: Vec<&str> = keys.map(|(_, key)| key.trim_start_matches("coiled-stack:")).collect();
        keys.sort_unstable();
        keys.join("+")
    }
}
