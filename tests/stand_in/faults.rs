//! What can go wrong on the way to Coiled and back, on request.

use std::time::Duration;

use serde_json::Value;

/// Something that goes wrong at one kind of call.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Where.
    pub on: Call,
    /// What happens there.
    pub how: How,
    /// How often, in a row; `u32::MAX` is for ever.
    pub times: u32,
}

/// The calls that can be made to go wrong. The five `Ws` calls are the stages of one registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `GET /api/v2/user/me`
    Me,
    /// `GET /api/v2/user/me/memberships`
    Memberships,
    /// `GET /api/v1/{workspace}/backend_options/`
    BackendOptions,
    /// `DELETE /api/v2/cloud-credentials/{workspace}/aws`
    Disconnect,
    /// The HTTP request that asks for the WebSocket.
    WsUpgrade,
    /// The first message, which the server sends.
    WsGreeting,
    /// The registration has arrived and is not looked at yet: nothing took effect.
    WsMessage,
    /// The registration took effect; each message before `FINISHED` is one such call.
    WsProgress,
    /// The registration took effect and `FINISHED` is due.
    WsFinish,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum How {
    /// HTTP: this status, with a JSON body; nothing took effect.
    Status(u16, Value),
    /// HTTP: this status, with a body that isn't JSON; nothing took effect.
    Text(u16, String),
    /// Silence, the connection stays open; the call took effect at `WsProgress` and `WsFinish` only.
    Hang,
    /// The TCP connection is reset; the call took effect at `WsProgress` and `WsFinish` only.
    Reset,
    /// All goes well, this much later.
    Slow(Duration),
    /// Something that isn't JSON: in place of an HTTP answer (status 200) or of the greeting, before a close with 1000
    /// at `WsMessage`, before `FINISHED` at `WsFinish`.
    Garbage,
    /// WebSocket: closed with this code; at `WsUpgrade` right after the upgrade, without a greeting.
    CloseWith(u16),
    /// WebSocket: an error message. A close with 1000 follows, at `WsFinish` a `FINISHED` first.
    IsError(String),
    /// WebSocket: an error message, then silence on an open connection.
    ErrorThenSilence(String),
    /// The call took effect and its answer is lost: the connection ends, neither reset nor closed as a WebSocket is.
    TookEffectThenDropped,
    /// WebSocket: progress for a person before `FINISHED`.
    Progress(Vec<String>),
    /// WebSocket: these very messages. A close with 1000 follows at `WsMessage`, all goes on at the other stages.
    Messages(Vec<Value>),
    /// WebSocket: `FINISHED` is sent, then the connection ends without a close.
    FinishedThenDropped,
    /// WebSocket: `FINISHED` is sent, then silence: the client's close is not answered.
    FinishedThenSilence,
}

impl Fault {
    /// Whether the stand-in knows what this means; a test that asks for the impossible must not pass.
    fn is_meaningful(&self) -> bool {
        match self.on {
            Call::Me | Call::Memberships | Call::BackendOptions | Call::Disconnect => self.how.is_for_http(),
            Call::WsUpgrade => self.how.is_for_http() || matches!(self.how, How::CloseWith(_)),
            Call::WsGreeting => self.how.is_for_a_greeting(),
            Call::WsMessage => self.how.is_for_a_greeting() || matches!(self.how, How::ErrorThenSilence(_)),
            Call::WsProgress => self.how.is_for_a_greeting() || self.how == How::TookEffectThenDropped,
            Call::WsFinish => !matches!(self.how, How::Status(..) | How::Text(..)),
        }
    }
}

impl How {
    fn is_for_http(&self) -> bool {
        matches!(
            self,
            Self::Status(..)
                | Self::Text(..)
                | Self::Hang
                | Self::Reset
                | Self::Slow(_)
                | Self::Garbage
                | Self::TookEffectThenDropped
        )
    }

    fn is_for_a_greeting(&self) -> bool {
        matches!(
            self,
            Self::Hang
                | Self::Reset
                | Self::Slow(_)
                | Self::Garbage
                | Self::CloseWith(_)
                | Self::IsError(_)
                | Self::Messages(_)
        )
    }
}

/// The faults that are still to happen, oldest first.
#[derive(Debug, Default)]
pub(super) struct Faults {
    queue: Vec<Fault>,
    /// How many have happened.
    pub(super) met: usize,
}

impl Faults {
    /// Queues a fault.
    ///
    /// # Panics
    ///
    /// Where the fault has no meaning at its call.
    pub(super) fn push(&mut self, fault: Fault) {
        assert!(fault.is_meaningful(), "{:?} means nothing at {:?}", fault.how, fault.on);
        self.queue.push(fault);
    }

    /// What goes wrong with the call that is happening now.
    pub(super) fn take(&mut self, call: Call) -> Option<How> {
        let fault = self.queue.iter_mut().find(|fault| fault.on == call && fault.times > 0)?;
        if fault.times != u32::MAX {
            fault.times -= 1;
        }
        self.met += 1;
        Some(fault.how.clone())
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
