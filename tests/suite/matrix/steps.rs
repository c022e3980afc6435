//! The calls that a run makes, read off an undisturbed one: nobody lists them, so nobody forgets one.

use std::collections::BTreeMap;
use std::fmt;

use crate::stand_in::Call;
use crate::support::World;

/// One call, told from the others of its run. Side by side they come in any order: so each kind is counted by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A call of AWS: what it is about, and the how manieth.
    Aws(String, usize),
    /// A request to Coiled, or a stage of the WebSocket.
    Coiled(Call, usize),
    /// After FINISHED the client closes the WebSocket.
    Close,
    /// The answer.
    Put,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, nth) = match self {
            Step::Aws(name, nth) => (name.as_str(), *nth),
            Step::Coiled(call, nth) => (coiled(*call), *nth),
            Step::Close => ("coiled WebSocket: close", 1),
            Step::Put => ("answer PUT", 1),
        };
        match nth {
            1 => write!(f, "{name}"),
            nth => write!(f, "{name} #{nth}"),
        }
    }
}

fn coiled(call: Call) -> &'static str {
    match call {
        Call::Me => "coiled GET me",
        Call::Memberships => "coiled GET memberships",
        Call::BackendOptions => "coiled GET backend_options",
        Call::Disconnect => "coiled DELETE credentials",
        Call::WsUpgrade => "coiled WebSocket: upgrade",
        Call::WsGreeting => "coiled WebSocket: greeting",
        Call::WsMessage => "coiled WebSocket: registration",
        Call::WsProgress => "coiled WebSocket: progress",
        Call::WsFinish => "coiled WebSocket: FINISHED",
    }
}

/// The stages of a WebSocket whose upgrade worked; there are three messages before FINISHED.
const STAGES: [Call; 6] =
    [Call::WsGreeting, Call::WsMessage, Call::WsProgress, Call::WsProgress, Call::WsProgress, Call::WsFinish];

/// What has been called since so many calls of AWS and requests to Coiled.
pub fn since(world: &World, (calls, requests): (usize, usize)) -> Vec<Step> {
    let mut counts = BTreeMap::new();
    let mut nth = |name: String| *counts.entry(name).and_modify(|count| *count += 1).or_insert(1);
    let calls = world.aws.calls().into_iter().skip(calls).filter(|call| call.is_the_functions());
    let mut steps: Vec<Step> = calls.map(|call| Step::Aws(call.name(), nth(call.name()))).collect();
    for call in world.coiled.requests().into_iter().skip(requests).filter_map(|request| request.call()) {
        steps.push(Step::Coiled(call, nth(coiled(call).into())));
        if call == Call::WsUpgrade {
            steps.extend(STAGES.map(|stage| Step::Coiled(stage, nth(coiled(stage).into()))));
            steps.push(Step::Close);
        }
    }
    steps.push(Step::Put);
    steps
}
