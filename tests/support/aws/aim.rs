//! A fault at one call and no other: calls told apart by what they are about, and counted.

use super::FUNCTION_KEY;
use super::call::AwsCall;
use super::fault::AwsHow;
use crate::support::account::TEST_KEY;

/// What goes wrong, and where.
#[derive(Debug, Clone)]
pub struct Aim {
    /// As [`AwsCall::name`] has it.
    pub name: String,
    /// Which of the calls of that name, from 1 on.
    pub nth: usize,
    /// Whether every later call of that name goes wrong too.
    pub on: bool,
    /// What happens.
    pub how: AwsHow,
}

/// An aim, and how many of its calls have come.
#[derive(Default)]
pub(super) struct Aimed {
    aim: Option<Aim>,
    came: usize,
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
        self.came += 1;
        let is_hit = self.came == aim.nth || (aim.on && self.came > aim.nth);
        self.hits += usize::from(is_hit);
        is_hit.then(|| aim.how.clone())
    }
}

impl AwsCall {
    /// Whether neither a test nor the stand-in made it.
    pub fn is_the_functions(&self) -> bool {
        self.access_key_id != TEST_KEY && !self.by_coiled
    }

    /// The call and what it is about, without what differs from run to run: `iam TagUser lease`.
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
            // The name of a secret has six random characters after it.
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
