//! The faults that a test can inject into calls to Coiled.

use std::time::Duration;

use serde_json::Value;

/// A fault for one kind of call.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The kind of call.
    pub on: Call,
    /// The effect.
    pub how: How,
    /// The number of consecutive calls. `u32::MAX` means all further calls.
    pub times: u32,
}

/// The calls that faults can be injected into. The five `Ws` calls are the stages of one registration.
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
    /// The HTTP request that opens the WebSocket.
    WsUpgrade,
    /// The server's greeting: the first message.
    WsGreeting,
    /// The registration has arrived. It is not validated yet and has no effect.
    WsMessage,
    /// One of the messages before `FINISHED`. The registration is in effect.
    WsProgress,
    /// The message `FINISHED`. The registration is in effect.
    WsFinish,
}

/// The effect of a fault.
#[derive(Debug, Clone, PartialEq)]
pub enum How {
    /// HTTP: this status with a JSON body. The call has no effect.
    Status(u16, Value),
    /// HTTP: this status with a body that is not JSON. The call has no effect.
    Text(u16, String),
    /// No response on an open connection. The call has an effect only at `WsProgress` and `WsFinish`.
    Hang,
    /// The TCP connection is reset. The call has an effect only at `WsProgress` and `WsFinish`.
    Reset,
    /// The call succeeds after this delay.
    Slow(Duration),
    /// Text that is not JSON. It replaces an HTTP response (status 200) or the greeting. It precedes a progress message
    /// or `FINISHED`. At `WsMessage`, a close with 1000 follows.
    Garbage,
    /// WebSocket: a close with this code. At `WsUpgrade` it follows the upgrade, without a greeting.
    CloseWith(u16),
    /// WebSocket: closed with this code and this reason.
    CloseSaying(u16, String),
    /// WebSocket: an error message, then a close with 1000. At `WsFinish`, `FINISHED` is sent in between.
    IsError(String),
    /// WebSocket: an error message, then nothing more on an open connection.
    ErrorThenSilence(String),
    /// The call has its effect, but the response is lost. The connection ends without a reset or a close frame.
    TookEffectThenDropped,
    /// WebSocket: these progress texts before `FINISHED`.
    Progress(Vec<String>),
    /// WebSocket: exactly these messages. At `WsMessage` a close with 1000 follows. Other stages continue normally.
    Messages(Vec<Value>),
    /// WebSocket: `FINISHED`, then the connection ends without a close frame.
    FinishedThenDropped,
    /// WebSocket: `FINISHED`, then nothing more. The client's close frame gets no response.
    FinishedThenSilence,
}

impl Fault {
    /// Whether this effect is defined for this call. A test that injects an undefined fault must fail.
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
                | Self::CloseSaying(..)
                | Self::IsError(_)
                | Self::Messages(_)
        )
    }
}

/// The queued faults, oldest first.
#[derive(Debug, Default)]
pub(super) struct Faults {
    queue: Vec<Fault>,
    /// The number of faults injected so far.
    pub(super) met: usize,
}

impl Faults {
    /// Queues a fault.
    ///
    /// # Panics
    ///
    /// If the effect is not defined for the call.
    pub(super) fn push(&mut self, fault: Fault) {
        assert!(fault.is_meaningful(), "{:?} is not defined at {:?}", fault.how, fault.on);
        self.queue.push(fault);
    }

    /// The fault for the current call, if one is queued. Counts it as injected.
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
