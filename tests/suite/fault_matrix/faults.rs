//! The kinds of fault, translated to faults of AWS, Coiled and the response bucket.

use std::fmt;
use std::time::Duration;

use coiled_stand_in::{Call, Fault as CoiledFault, How};
use coiled_world::World;
use coiled_world::aws::{Aim, AwsHow};
use coiled_world::bucket::PutHow;
use serde_json::json;

use super::steps::Step;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Denied,
    Throttled,
    /// The call took effect, but its response was lost.
    Lost,
    /// No response until the deadline.
    Hangs,
    /// A response that cannot be parsed.
    Garbage,
    /// The connection is reset.
    Reset,
    /// AWS is unavailable: a load balancer's page with status 503.
    Outage,
    /// A proxy's page with status 200 in place of AWS's response.
    Proxy,
    /// The AWS call took effect, but the response is an error.
    Worked500,
}

/// What goes wrong, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    /// Whether every later call with the same name also fails, until the run ends.
    pub lasting: bool,
}

impl Kind {
    pub const ALL: [Kind; 9] = [
        Kind::Denied,
        Kind::Throttled,
        Kind::Lost,
        Kind::Hangs,
        Kind::Garbage,
        Kind::Reset,
        Kind::Outage,
        Kind::Proxy,
        Kind::Worked500,
    ];

    /// Whether the kind applies only to AWS. Other kinds cover the same failures of Coiled and the bucket.
    fn is_of_aws(self) -> bool {
        matches!(self, Kind::Outage | Kind::Proxy | Kind::Worked500)
    }
}

impl Fault {
    /// The columns of the table.
    pub fn all() -> Vec<Self> {
        Kind::ALL.into_iter().flat_map(|kind| [false, true].map(|lasting| Self { kind, lasting })).collect()
    }

    fn times(self) -> u32 {
        if self.lasting { u32::MAX } else { 1 }
    }

    /// Time until the deadline: 4 s for faults that last until then, 12 s for all others.
    ///
    /// The function reserves a quarter of it for the undo and an eighth for the response. Both must be long enough
    /// while many cells run in parallel.
    pub fn timeout(self) -> Duration {
        Duration::from_secs(if self.lasting || self.kind == Kind::Hangs { 4 } else { 12 })
    }

    /// Whether the fault makes a difference at this step.
    pub fn applies_to(self, step: &Step) -> bool {
        match step {
            // A read has no effect, so it cannot take effect and then respond with an error.
            Step::Aws(name, _) => self.kind != Kind::Worked500 || !(name.contains(" Get") || name.contains(" List")),
            _ if self.kind.is_of_aws() => false,
            Step::Close => self.kind == Kind::Lost || self.kind == Kind::Hangs,
            // Nothing has taken effect yet, so `Lost` would be the same as `Reset`.
            Step::Coiled(Call::WsGreeting | Call::WsMessage, _) => self.kind != Kind::Lost,
            _ => true,
        }
    }

    pub fn inject(self, step: &Step, world: &World) {
        match step {
            Step::Aws(name, nth) => {
                world.aws.aim(Aim { name: name.clone(), nth: *nth, on: self.lasting, how: self.at_aws() });
            }
            Step::Coiled(on, nth) => {
                // The stand-in takes its faults from a queue. A delay of zero lets each earlier call pass.
                for _ in 1..*nth {
                    world.coiled.fault(CoiledFault { on: *on, how: How::Slow(Duration::ZERO), times: 1 });
                }
                world.coiled.fault(CoiledFault { on: *on, how: self.at_coiled(*on), times: self.times() });
            }
            Step::Close => {
                let how = if self.kind == Kind::Lost { How::FinishedThenDropped } else { How::FinishedThenSilence };
                world.coiled.fault(CoiledFault { on: Call::WsFinish, how, times: self.times() });
            }
            Step::Put => world.bucket.fault(self.at_bucket(), self.times()),
        }
    }

    /// Whether the run hit the fault. A cell whose fault was never hit would prove nothing.
    pub fn was_hit(step: &Step, world: &World) -> bool {
        match step {
            Step::Aws(..) => world.aws.hits() > 0,
            Step::Coiled(_, nth) => world.coiled.faults_met() >= *nth,
            Step::Close => world.coiled.faults_met() > 0,
            Step::Put => true,
        }
    }

    fn at_aws(self) -> AwsHow {
        match self.kind {
            Kind::Denied => AwsHow::AccessDenied,
            Kind::Throttled => AwsHow::Throttled,
            Kind::Lost => AwsHow::TookEffectThenDropped,
            Kind::Hangs => AwsHow::Hang,
            Kind::Garbage => AwsHow::Garbage,
            Kind::Reset => AwsHow::Reset,
            Kind::Outage => AwsHow::Page(503),
            Kind::Proxy => AwsHow::Page(200),
            Kind::Worked500 => AwsHow::TookEffectThenError(500, "ServiceFailure"),
        }
    }

    fn at_coiled(self, call: Call) -> How {
        let speaks_http = !matches!(call, Call::WsGreeting | Call::WsMessage | Call::WsProgress | Call::WsFinish);
        let took_effect = matches!(call, Call::WsProgress | Call::WsFinish);
        match self.kind {
            // 401: the token is invalid. 403: the token has no access to this workspace.
            Kind::Denied if speaks_http => How::Status(if self.lasting { 403 } else { 401 }, json!({"detail": "no"})),
            Kind::Denied if took_effect => How::IsError("not authorized".into()),
            Kind::Denied => How::CloseWith(4403),
            Kind::Throttled if speaks_http => How::Status(429, json!({"detail": "slow down"})),
            // 1013: "Try again later."
            Kind::Throttled => How::CloseWith(1013),
            Kind::Lost | Kind::Worked500 => How::TookEffectThenDropped,
            Kind::Hangs => How::Hang,
            Kind::Garbage | Kind::Outage | Kind::Proxy => How::Garbage,
            Kind::Reset => How::Reset,
        }
    }

    fn at_bucket(self) -> PutHow {
        match self.kind {
            Kind::Denied => PutHow::Status(403),
            Kind::Throttled | Kind::Outage => PutHow::Status(503),
            Kind::Lost | Kind::Worked500 => PutHow::StoredThenReset,
            Kind::Hangs => PutHow::Hang,
            // A redirect without a Location header.
            Kind::Garbage | Kind::Proxy => PutHow::Status(301),
            Kind::Reset => PutHow::Reset,
        }
    }
}

/// Begins with the name of the table's column, so that `MATRIX_ONLY` can select a column.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Denied => "access denied",
            Kind::Throttled => "throttled",
            Kind::Lost => "response lost",
            Kind::Hangs => "hangs",
            Kind::Garbage => "garbage response",
            Kind::Reset => "connection reset",
            Kind::Outage => "outage (page with status 503)",
            Kind::Proxy => "proxy (page with status 200)",
            Kind::Worked500 => "worked500 (took effect, status 500)",
        };
        write!(f, "{kind} {}", if self.lasting { "from then on" } else { "once" })
    }
}
