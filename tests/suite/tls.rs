//! TLS to Coiled (https and wss), to AWS and to the bucket of the response, with an authority from `SSL_CERT_FILE`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coiled_stand_in::Call;
use coiled_world::lambda::Process;
use coiled_world::tls::{Authority, Flaw, Front};
use coiled_world::{FunctionResponse, World};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::support::{Deploy, binary};

/// Each flaw, with the words that say what is wrong and what to do. Where the function retries until its deadline, a test
/// plays all flaws in parallel.
const FLAWS: [(Flaw, &str, &str); 5] = [
    (Flaw::UnknownAuthority, "signed by an unknown authority", "SSL_CERT_FILE"),
    (Flaw::SameName, "signed by an unknown authority", "SSL_CERT_FILE"),
    (Flaw::Expired, "has expired", "Renew the server's certificate"),
    (Flaw::NotYetValid, "is not valid yet", "Renew the server's certificate"),
    (Flaw::WrongName, "wrong host name: it is for coiled.example.com", "Use the name in the certificate"),
];

/// A world whose servers speak TLS.
struct Stage {
    world: World,
    authority: Authority,
    aws: Front,
    coiled: Front,
    bucket: Front,
    timeout: Duration,
}

impl Stage {
    async fn new() -> Self {
        let (world, authority) = (World::new().await, Authority::create());
        Self {
            aws: Front::start(&world.aws.url(), authority.certificate()).await,
            coiled: Front::start(&world.coiled.url(), authority.certificate()).await,
            bucket: Front::start(&format!("http://{}", world.bucket.host()), authority.certificate()).await,
            timeout: Duration::from_secs(20),
            world,
            authority,
        }
    }

    /// Makes Coiled present this certificate to HTTP requests and WebSockets.
    async fn coiled_shows(&mut self, certificate: Arc<CertifiedKey>) {
        self.coiled = Front::start(&self.world.coiled.url(), certificate).await;
    }

    fn event(&self, request_type: &str) -> Value {
        let properties = self.world.properties(json!({"CoiledServer": self.coiled.url()}));
        let mut event = self.world.event(request_type, properties);
        let url = event["ResponseURL"].as_str().unwrap().replace("http://", "https://");
        event["ResponseURL"] = json!(url.replace(&self.world.bucket.host(), &self.bucket.host()));
        event
    }

    async fn run(&self, request_type: &str) -> Result<(), String> {
        let authorities = self.authority.file();
        let process = Process {
            aws: self.aws.url(),
            coiled: self.coiled.url(),
            response_host: self.bucket.host(),
            timeout: self.timeout,
            ..binary(&authorities)
        };
        self.world.run_binary(process, self.event(request_type)).await
    }

    async fn response(&self, request_type: &str) -> FunctionResponse {
        self.run(request_type).await.expect("the response is delivered");
        let put = self.world.bucket.puts().pop().expect("there is a response");
        assert_eq!(put.faults, Vec::<String>::new());
        FunctionResponse { value: serde_json::from_slice(&put.body).unwrap() }
    }
}

#[tokio::test]
async fn everything_works_over_tls_with_an_authority_from_the_environment() {
    let stage = Stage::new().await;
    stage.response("Create").await.succeeded();
    stage.world.connected().await;
    stage.response("Delete").await.succeeded();
    stage.world.nothing_left().await;
}

#[tokio::test]
async fn a_bad_certificate_for_https_is_explained_and_nothing_is_created() {
    for (flaw, problem, fix) in FLAWS {
        let mut stage = Stage::new().await;
        stage.coiled_shows(stage.authority.flawed(flaw)).await;
        let server = stage.coiled.url();
        stage.response("Create").await.failed(&[&server, "TLS certificate", problem, fix]);
        assert!(stage.world.coiled.requests().is_empty(), "{flaw:?}: the token was sent");
        stage.world.nothing_left().await;
    }
}

/// A load balancer may serve WebSockets with another certificate.
#[tokio::test]
async fn a_bad_certificate_for_wss_is_explained_and_everything_is_deleted() {
    for (flaw, problem, fix) in FLAWS {
        let mut stage = Stage::new().await;
        let (good, bad) = (stage.authority.certificate(), stage.authority.flawed(flaw));
        // Connections are opened for three HTTP requests, then for the WebSocket.
        let coiled = stage.world.coiled.clone();
        let choose = move || if coiled.calls(Call::BackendOptions).is_empty() { good.clone() } else { bad.clone() };
        stage.coiled = Front::choosing(&stage.world.coiled.url(), choose).await;
        let server = stage.coiled.url();
        stage.response("Create").await.failed(&[&server, "WebSocket", "TLS certificate", problem, fix]);
        assert!(stage.world.coiled.registrations().is_empty(), "{flaw:?}: the key was sent");
        stage.world.nothing_left().await;
    }
}

/// Without a trusted bucket, no status reason can be delivered, so the log explains the problem.
#[tokio::test]
async fn a_bad_certificate_of_the_response_bucket_is_explained_in_the_log() {
    join_all(FLAWS.map(async |(flaw, problem, fix)| {
        let mut stage = Stage::new().await;
        let bucket = format!("http://{}", stage.world.bucket.host());
        stage.bucket = Front::start(&bucket, stage.authority.flawed(flaw)).await;
        stage.timeout = Duration::from_secs(2);
        // This request is rejected immediately, so all the time remains for the response.
        stage.run("Nonsense").await.unwrap_err();
        let log = stage.world.logs.text();
        for words in ["https://127.0.0.1/***", "TLS certificate", problem, fix] {
            assert!(log.contains(words), "{flaw:?}: {words} is missing in {log}");
        }
        assert!(stage.world.bucket.puts().is_empty());
    }))
    .await;
}

#[tokio::test]
async fn a_bad_certificate_of_aws_is_explained() {
    join_all(FLAWS.map(async |(flaw, problem, fix)| {
        let mut stage = Stage::new().await;
        stage.aws = Front::start(&stage.world.aws.url(), stage.authority.flawed(flaw)).await;
        stage.response("Create").await.failed(&["the service could not be reached", "TLS certificate", problem, fix]);
        assert!(stage.world.aws.actions().is_empty() && stage.world.coiled.requests().is_empty());
    }))
    .await;
}

/// Someone entered `https://` with a port that serves plain HTTP.
#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_named() {
    let stage = Stage::new().await;
    let plain = stage.world.coiled.url().replace("http://", "https://");
    let mut event = stage.event("Create");
    event["ResourceProperties"]["CoiledServer"] = json!(plain);
    let authorities = stage.authority.file();
    let process = Process {
        aws: stage.aws.url(),
        coiled: plain.clone(),
        response_host: stage.bucket.host(),
        timeout: stage.timeout,
        ..binary(&authorities)
    };
    stage.world.run_binary(process, event).await.unwrap();
    let put = stage.world.bucket.puts().pop().unwrap();
    let value = serde_json::from_slice(&put.body).unwrap();
    FunctionResponse { value }.failed(&[&plain, "does not speak TLS", "Use the port"]);
}

/// A person must be able to delete the stack before anyone renews the certificate.
#[tokio::test]
async fn a_delete_that_fails_because_of_a_certificate_names_the_force_disconnect_tag() {
    let mut stage = Stage::new().await;
    let (good, bad) = (stage.authority.certificate(), stage.authority.flawed(Flaw::Expired));
    let has_expired = Arc::new(AtomicBool::new(false));
    let now = has_expired.clone();
    let choose = move || if now.load(Ordering::SeqCst) { bad.clone() } else { good.clone() };
    stage.coiled = Front::choosing(&stage.world.coiled.url(), choose).await;
    stage.response("Create").await.succeeded();
    has_expired.store(true, Ordering::SeqCst);
    stage.response("Delete").await.failed(&[&stage.coiled.url(), "has expired", "Renew", "force-disconnect"]);
}
