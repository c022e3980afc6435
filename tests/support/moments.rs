//! The moments of a run: each call that it makes, as it is answered. They are taken from a run that nothing disturbs, so
//! that no list of them has to be kept.

use std::collections::BTreeMap;

use serde_json::Value;

use super::World;
use super::aws::AwsCall;
use crate::stand_in::StandIn;

/// A call that has been answered this many times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// `iam:CreateUser`, `coiled:Me`, …
    pub call: String,
    /// How many times.
    pub times: usize,
}

impl Moment {
    /// Whether the call changes anything. After one that only reads, everything is as after the call before it.
    pub fn changes_something(&self) -> bool {
        let call = self.call.split_once(':').map(|(_, call)| call).unwrap_or_default();
        !["Get", "List", "Me", "BackendOptions", "WsUpgrade"].iter().any(|read| call.starts_with(read))
    }
}

/// How often each call has been answered.
pub type Tally = BTreeMap<String, usize>;

impl World {
    /// All calls so far.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::new();
        for call in self.aws.calls().iter().map(name).chain(answered(&self.coiled)) {
            *tally.entry(call).or_default() += 1;
        }
        tally
    }

    /// The moments since then.
    pub fn moments_since(&self, before: &Tally) -> Vec<Moment> {
        let mut moments = Vec::new();
        for (call, times) in self.tally() {
            let first = before.get(&call).copied().unwrap_or_default() + 1;
            moments.extend((first..=times).map(|times| Moment { call: call.clone(), times }));
        }
        moments
    }

    /// Waits for a moment.
    pub async fn until(&self, moment: &Moment) {
        let Moment { call, times } = moment;
        match call.split_once(':') {
            Some(("coiled", _)) => {
                self.coiled.until(|coiled| answered(coiled).filter(|other| other == call).count() >= *times).await;
            }
            Some((_, action)) => self.aws.until(action, *times).await,
            None => panic!("{call} is no call"),
        }
    }

    /// Runs an event up to a moment, at which Lambda kills its process: nothing is undone, and nobody is answered.
    pub async fn kill(&self, event: Value, moment: &Moment) {
        let registered_before = self.coiled.registrations().len();
        tokio::select! {
            // The call is answered before the function can hear of it.
            biased;
            () = self.until(moment) => {}
            ended = self.invoke(event) => panic!("{moment:?}: it ended before: {ended:?}"),
        }
        self.aws.quiet().await;
        let registered = |coiled: &StandIn| {
            let sent = coiled.registrations().split_off(registered_before);
            let key = sent.last().map(|message| message["data"]["options"]["credentials"]["aws_access_key"].clone());
            key.is_none_or(|key| coiled.connection("ada").is_some_and(|held| key == held.access_key_id()))
        };
        // A message that has arrived takes effect, whoever is there to hear of it.
        self.coiled.until(registered).await;
    }

    /// A lease says when Lambda kills its run at the latest. Here that moment is over at once.
    pub async fn lease_ends(&self) {
        let lease = self.tag("coiled-stack:lease").await;
        let mut parts: Vec<&str> = lease.split('/').collect();
        if let Some(until) = parts.get_mut(2) {
            *until = "1";
            self.tag_user("coiled", "coiled-stack:lease", &parts.join("/")).await;
        }
    }
}

fn name(call: &AwsCall) -> String {
    format!("{}:{}", call.service, call.action)
}

/// Requests that have their answer, registrations that have arrived, and WebSockets that the client has closed.
fn answered(coiled: &StandIn) -> impl Iterator<Item = String> {
    let name = |what: &dyn std::fmt::Debug| format!("coiled:{what:?}");
    let requests = coiled.requests();
    requests.into_iter().flat_map(move |request| {
        let call = request.call().filter(|_| request.status.is_some()).map(|call| name(&call));
        let messages = request.messages.iter().map(|_| "coiled:WsMessage".to_owned());
        let close = request.close_code.map(|_| "coiled:WsClose".to_owned());
        call.into_iter().chain(messages).chain(close).collect::<Vec<_>>()
    })
}
