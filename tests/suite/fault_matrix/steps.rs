//! The calls of a scenario. They are recorded from a run without faults, so no list of calls can become outdated.

use std::collections::BTreeMap;
use std::fmt;

use coiled_stand_in::Call;
use coiled_world::World;

/// One call of a run, identified by its name and its number among the calls with that name.
///
/// Parallel calls come in any order, so a number across all calls would differ from run to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An AWS call: its name as in [`AwsCall::name`](coiled_world::aws::AwsCall::name), and its number from 1.
    Aws(String, usize),
    /// An HTTP request to Coiled or a stage of the WebSocket, and its number from 1.
    Coiled(Call, usize),
    /// The close of the WebSocket by the client, after FINISHED.
    Close,
    /// The PUT of the response.
    Put,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, nth) = match self {
            Step::Aws(name, nth) => (name.as_str(), *nth),
            Step::Coiled(call, nth) => (coiled(*call), *nth),
            Step::Close => ("Coiled WebSocket: close", 1),
            Step::Put => ("response PUT", 1),
        };
        match nth {
            1 => write!(f, "{name}"),
            nth => write!(f, "{name} #{nth}"),
        }
    }
}

fn coiled(call: Call) -> &'static str {
    match call {
        Call::Me => "Coiled GET me",
        Call::Memberships => "Coiled GET memberships",
        Call::BackendOptions => "Coiled GET backend_options",
        Call::Disconnect => "Coiled DELETE credentials",
        Call::WsUpgrade => "Coiled WebSocket: upgrade",
        Call::WsGreeting => "Coiled WebSocket: greeting",
        Call::WsMessage => "Coiled WebSocket: registration",
        Call::WsProgress => "Coiled WebSocket: progress",
        Call::WsFinish => "Coiled WebSocket: FINISHED",
    }
}

/// The stages of a WebSocket after its upgrade. The stand-in sends three messages before FINISHED.
const STAGES: [Call; 6] =
    [Call::WsGreeting, Call::WsMessage, Call::WsProgress, Call::WsProgress, Call::WsProgress, Call::WsFinish];

/// The steps since `calls` AWS calls and `requests` requests to Coiled. The last step is the PUT of the response.
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
