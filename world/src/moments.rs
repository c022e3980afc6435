//! The moments of a run: one for each completed call. Tests take them from a run without faults, so that no list of
//! calls has to be maintained.

use std::time::SystemTime;

use std::collections::BTreeMap;

use coiled_stand_in::StandIn;
use serde_json::Value;

use super::World;
use super::aws::AwsCall;

/// The moment at which a call has completed for the nth time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// `iam:CreateUser`, `coiled:Me`, …
    pub call: String,
    pub times: usize,
}

impl Moment {
    /// Whether the call writes. After a read, the state is the same as after the previous call.
    pub fn changes_something(&self) -> bool {
        let call = self.call.split_once(':').map(|(_, call)| call).unwrap_or_default();
        !["Get", "List", "Me", "BackendOptions", "WsUpgrade"].iter().any(|read| call.starts_with(read))
    }
}

/// How many times each call has completed.
pub type Tally = BTreeMap<String, usize>;

impl World {
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::new();
        for call in self.aws.calls().iter().map(name).chain(completed(&self.coiled)) {
            *tally.entry(call).or_default() += 1;
        }
        tally
    }

    /// The moments since an earlier tally.
    pub fn moments_since(&self, before: &Tally) -> Vec<Moment> {
        let mut moments = Vec::new();
        for (call, times) in self.tally() {
            let first = before.get(&call).copied().unwrap_or_default() + 1;
            moments.extend((first..=times).map(|times| Moment { call: call.clone(), times }));
        }
        moments
    }

    pub async fn until(&self, moment: &Moment) {
        let Moment { call, times } = moment;
        match call.split_once(':') {
            Some(("coiled", _)) => {
                self.coiled.until(|coiled| completed(coiled).filter(|other| other == call).count() >= *times).await;
            }
            Some((_, action)) => self.aws.until(action, *times).await,
            None => panic!("{call} is not a call: the service is missing"),
        }
    }

    /// Runs an event up to a moment and then kills the function, as Lambda does at its timeout. The run undoes nothing
    /// and sends no response.
    pub async fn kill(&self, event: Value, moment: &Moment) {
        let registered_before = self.coiled.registrations().len();
        tokio::select! {
            // A call is recorded before the function receives its response. Polling this branch first stops the
            // function before it continues.
            biased;
            () = self.until(moment) => {}
            ended = self.invoke(event) => panic!("the run ended before {moment:?}: {ended:?}"),
        }
        self.aws.quiet().await;
        let registered = |coiled: &StandIn| {
            let sent = coiled.registrations().split_off(registered_before);
            let key = sent.last().map(|message| message["data"]["options"]["credentials"]["aws_access_key"].clone());
            key.is_none_or(|key| coiled.connection("ada").is_some_and(|held| key == held.access_key_id()))
        };
        // A registration that has reached Coiled takes effect even if the client has left.
        self.coiled.until(registered).await;
    }

    /// Leaves the lease of a run that was killed within the last minute. The lease ends at this moment, and until then the
    /// run may have created a key.
    pub async fn killed_run(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let lease = format!("dead/{began}000000000/{now}/keys {began} {now}", began = now - 60);
        self.tag_user("coiled", "coiled-stack:lease", &lease).await;
    }

    /// Whether the user has a lease that blocks no other run.
    pub async fn lease_has_ended(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let until = self.tag("coiled-stack:lease").await.split('/').nth(2).and_then(|until| until.parse::<u64>().ok());
        until.is_some_and(|until| until <= now)
    }

    /// Sets the end of the current lease to the past. A lease normally ends no later than Lambda kills its run.
    pub async fn lease_ends(&self) {
        let lease = self.tag("coiled-stack:lease").await;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().to_string();
        let mut parts: Vec<&str> = lease.split('/').collect();
        if let Some(until) = parts.get_mut(2) {
            *until = &now;
            self.tag_user("coiled", "coiled-stack:lease", &parts.join("/")).await;
        }
    }
}

impl World {
    /// Moves the time at which the killed run may have created a key into the past. Its lease ends at this moment.
    pub async fn minutes_pass_after_a_kill(&self) {
        self.lease_ends().await;
        let lease = self.tag("coiled-stack:lease").await;
        let (begin, creation) = lease.rsplit_once('/').unwrap();
        let earlier = |word: &str| match word.parse::<u64>() {
            Ok(seconds) => (seconds - 300).to_string(),
            Err(_) => word.to_owned(),
        };
        let creation = creation.split(' ').map(earlier).collect::<Vec<_>>().join(" ");
        self.tag_user("coiled", "coiled-stack:lease", &format!("{begin}/{creation}")).await;
    }
}

fn name(call: &AwsCall) -> String {
    format!("{}:{}", call.service, call.action)
}

/// Completed HTTP requests, received registrations, and WebSockets that the client has closed.
fn completed(coiled: &StandIn) -> impl Iterator<Item = String> {
    let name = |what: &dyn std::fmt::Debug| format!("coiled:{what:?}");
    let requests = coiled.requests();
    requests.into_iter().flat_map(move |request| {
        let call = request.call().filter(|_| request.status.is_some()).map(|call| name(&call));
        let messages = request.messages.iter().map(|_| "coiled:WsMessage".to_owned());
        let close = request.close_code.map(|_| "coiled:WsClose".to_owned());
        call.into_iter().chain(messages).chain(close).collect::<Vec<_>>()
    })
}
