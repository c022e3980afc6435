//! What goes wrong at a step, in the words of whoever answers there.

use std::fmt;
use std::time::Duration;

use serde_json::json;

use super::steps::Step;
use crate::stand_in::{Call, Fault as CoiledFault, How};
use crate::support::World;
use crate::support::aws::{Aim, AwsHow};
use crate::support::bucket::PutHow;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No right to do so.
    Denied,
    /// Too many calls.
    Throttled,
    /// It took effect, and the answer never came.
    Lost,
    /// No answer, until the deadline.
    Hangs,
    /// An answer that makes no sense.
    Garbage,
    /// The connection is reset.
    Reset,
}

/// What goes wrong, at this one call or from it on to the end of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    pub on: bool,
}

impl Kind {
    pub const ALL: [Kind; 6] = [Kind::Denied, Kind::Throttled, Kind::Lost, Kind::Hangs, Kind::Garbage, Kind::Reset];
}

impl Fault {
    /// The columns of the table.
    pub fn all() -> Vec<Self> {
        Kind::ALL.into_iter().flat_map(|kind| [false, true].map(|on| Self { kind, on })).collect()
    }

    fn times(self) -> u32 {
        if self.on { u32::MAX } else { 1 }
    }

    /// How long the run may take. Short where it goes on to the deadline; long enough for what remains for undo (a
    /// quarter) and answer (an eighth) where many cells are played at once.
    pub fn timeout(self) -> Duration {
        Duration::from_secs(if self.on || self.kind == Kind::Hangs { 4 } else { 12 })
    }

    /// Whether it means anything at a step: a greeting that nobody hears has no effect that could be there all the same.
    pub fn is_meaningful(self, step: &Step) -> bool {
        match step {
            Step::Close => self.kind == Kind::Lost || self.kind == Kind::Hangs,
            Step::Coiled(Call::WsGreeting | Call::WsMessage, _) => self.kind != Kind::Lost,
            _ => true,
        }
    }

    /// Lets it happen.
    pub fn inject(self, step: &Step, world: &World) {
        match step {
            Step::Aws(name, nth) => {
                world.aws.aim(Aim { name: name.clone(), nth: *nth, on: self.on, how: self.at_aws() });
            }
            Step::Coiled(on, nth) => {
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

    /// Whether it has happened: a cell that disturbs nothing proves nothing.
    pub fn was_met(step: &Step, world: &World) -> bool {
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
        }
    }

    fn at_coiled(self, call: Call) -> How {
        let speaks_http = !matches!(call, Call::WsGreeting | Call::WsMessage | Call::WsProgress | Call::WsFinish);
        let took_effect = matches!(call, Call::WsProgress | Call::WsFinish);
        match self.kind {
            // 401: not this token; 403: not this workspace.
            Kind::Denied if speaks_http => How::Status(if self.on { 403 } else { 401 }, json!({"detail": "no"})),
            Kind::Denied if took_effect => How::IsError("not authorized".into()),
            Kind::Denied => How::CloseWith(4403),
            Kind::Throttled if speaks_http => How::Status(429, json!({"detail": "slow down"})),
            // "Try again later."
            Kind::Throttled => How::CloseWith(1013),
            Kind::Lost => How::TookEffectThenDropped,
            Kind::Hangs => How::Hang,
            Kind::Garbage => How::Garbage,
            Kind::Reset => How::Reset,
        }
    }

    fn at_bucket(self) -> PutHow {
        match self.kind {
            Kind::Denied => PutHow::Status(403),
            Kind::Throttled => PutHow::Status(503),
            Kind::Lost => PutHow::StoredThenReset,
            Kind::Hangs => PutHow::Hang,
            // A redirect that leads nowhere.
            Kind::Garbage => PutHow::Status(301),
            Kind::Reset => PutHow::Reset,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", format!("{:?}", self.kind).to_lowercase(), if self.on { "to the end" } else { "once" })
    }
}
