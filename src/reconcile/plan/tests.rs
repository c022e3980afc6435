use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::aws::iam::keys::{Key, LastUse};
use crate::aws::iam::user::User;
use crate::cloudformation::request::Envelope;
use crate::coiled::connection::Shown;
use crate::coiled::{Coiled, Pace};
use crate::properties::names::Server;
use crate::properties::tags::keys_leniently;
use crate::reconcile::link::Link;
use crate::resource::lease::Lease;
use crate::resource::observe::SeenUser;
use crate::resource::ownership::OwnershipTags;
use crate::resource::record::{Digests, held_key};
use crate::tag::{ACCESS_KEY_ID, LEASE, REGISTERED, SERVER, WORKSPACE};

const SECRET: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:coiled-token-AbCdEf";
const HUB: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:hub-token-AbCdEf";

fn spec(more: Value) -> Spec {
    let mut properties = json!({"CoiledTokenSecretArn": SECRET});
    if let (Some(map), Value::Object(more)) = (properties.as_object_mut(), more) {
        map.extend(more);
    }
    Spec::parse(&properties, "us-east-1", "aws").unwrap()
}

fn ownership() -> OwnershipTags {
    OwnershipTags::of(&Envelope::read(&json!({"StackId": "s", "LogicalResourceId": "C"})))
}

/// No new key is registered.
const KEEP: &KeyDecision = &KeyDecision::Keep;

fn wanted<'a>(spec: &'a Spec, key: &'a KeyDecision) -> Wanted<'a> {
    let (tags, user_tags) = (ownership().for_policy(spec), ownership().for_user(spec, Some("ada")));
    Wanted { spec, tags, user_tags, old_tag_keys: Vec::new(), old_boundary: None, key }
}

/// A new key is registered, and before that, Coiled shows an AWS connection in this region.
fn replace(region: &str, observed: &Observed) -> KeyDecision {
    let pace = Pace { first: Duration::ZERO, retry: Duration::ZERO, until: Instant::now() };
    let server = Server::parse(Server::DEFAULT).unwrap();
    let coiled = Coiled::new(reqwest::Client::new(), server, SecretString::from("token"), pace);
    let link = Link { coiled, workspace: "ada".into(), before: shown(region), hub_token: None };
    KeyDecision::replace(Box::new(link), observed).unwrap()
}

fn shown(region: &str) -> Shown {
    Shown::new(json!({"backend": "vm", "options": {"provider_name": "aws", "aws_region_name": region}}))
}

/// The plan as a line; empty if there is nothing to do.
fn line(spec: &Spec, key: &KeyDecision, observed: &Observed) -> String {
    plan(&wanted(spec, key), observed).map(|plan| plan.to_string()).unwrap_or_default()
}

fn key(id: &str) -> Key {
    Key { id: id.into(), active: true, created: Some(500), last_use: LastUse::Unused }
}

fn policy(kind: Kind, spec: &Spec) -> Policy {
    Policy {
        arn: format!("arn:aws:iam::111122223333:policy/{}", kind.name(&spec.user)),
        version: "v1".into(),
        tags: ownership().for_policy(spec),
        document: kind.document().into(),
    }
}

/// The state after a successful Create.
fn connected(spec: &Spec) -> Observed {
    let digests = Digests { wanted: Digests::wanted(spec), shown: "shown".into() };
    let mut tags = wanted(spec, KEEP).user_tags;
    tags.extend([Tag::new(ACCESS_KEY_ID, "AKIA1"), Tag::new(REGISTERED, digests.tag_value())]);
    let policies: BTreeMap<Kind, Policy> = Kind::ALL.into_iter().map(|kind| (kind, policy(kind, spec))).collect();
    let attached = policies.values().map(|policy| policy.arn.clone()).collect();
    let user = User {
        arn: "arn:aws:iam::1:user/coiled".into(),
        name: "coiled".into(),
        path: "/".into(),
        boundary: None,
        tags,
    };
    let seen = SeenUser { user, owner: Owner::Ours, lease: None, keys: vec![key("AKIA1")], attached };
    Observed { user: Some(seen), policies }
}

fn seen(observed: &mut Observed) -> &mut SeenUser {
    observed.user.as_mut().unwrap()
}

fn planned(spec: &Spec, observed: &Observed) -> String {
    match registration_state(spec, observed) {
        RegistrationState::Needed | RegistrationState::KeyLost => {
            line(spec, &replace("us-gov-west-1", observed), observed)
        }
        RegistrationState::Current | RegistrationState::Uncertain => line(spec, KEEP, observed),
    }
}

#[test]
fn create_runs_independent_steps_in_parallel() {
    assert_eq!(
        planned(&spec(json!({})), &Observed::default()),
        "create user > (create access key > (wait for the key to work | tag the pending key \
         | open the WebSocket to Coiled) | create setup policy > attach setup policy \
         | create ongoing policy > attach ongoing policy) \
         > (confirm that the key works | check the lease) > register the key \
         > (read the registration back | verify the resources) > record the registration > release the lease"
    );
}

#[test]
fn the_plan_is_empty_if_the_state_matches() {
    let spec = spec(json!({}));
    assert!(plan(&wanted(&spec, KEEP), &connected(&spec)).is_none());
    assert_eq!(registration_state(&spec, &connected(&spec)), RegistrationState::Current);
}

#[test]
fn detaching_the_setup_policy_changes_nothing_else() {
    let observed = connected(&spec(json!({})));
    let plan = planned(&spec(json!({"AttachSetupPolicy": "false"})), &observed);
    assert_eq!(plan, "acquire the lease > (detach setup policy) > check the lease > release the lease");
}

#[test]
fn a_change_to_a_registered_property_creates_a_new_key() {
    let observed = connected(&spec(json!({})));
    for change in [
        json!({"Region": "us-east-2"}),
        json!({"RotateKey": "2"}),
        json!({"NetworkId": "vpc-123"}),
        json!({"Ingress": [{"Ports": ["22"], "Cidr": "10.0.0.0/8"}]}),
        json!({"Registry": "docker_hub", "DockerHubUsername": "a", "DockerHubTokenSecretArn": HUB}),
    ] {
        let plan = planned(&spec(change.clone()), &observed);
        assert!(plan.starts_with("acquire the lease > (create access key"), "{change}: {plan}");
        let end = "> record the registration > delete access keys AKIA1 > release the lease";
        assert!(plan.ends_with(end), "{change}: {plan}");
    }
}

#[test]
fn a_change_to_any_other_property_creates_no_new_key() {
    let observed = connected(&spec(json!({})));
    for change in [
        json!({"AttachSetupPolicy": "false"}),
        json!({"PermissionsBoundaryArn": "arn:aws:iam::111122223333:policy/b"}),
        json!({"Tags": [{"Key": "a", "Value": "b"}]}),
        json!({"Release": "9"}),
        json!({"ForceDisconnect": "true"}),
        json!({"AdoptExisting": "true"}),
    ] {
        assert_eq!(registration_state(&spec(change.clone()), &observed), RegistrationState::Current, "{change}");
    }
}

#[test]
fn an_inactive_key_is_kept_and_a_deleted_key_is_replaced() {
    let spec = spec(json!({}));
    let mut observed = connected(&spec);
    seen(&mut observed).keys = vec![Key { active: false, ..key("AKIA1") }];
    assert_eq!(registration_state(&spec, &observed), RegistrationState::Current);
    seen(&mut observed).keys.clear();
    assert_eq!(registration_state(&spec, &observed), RegistrationState::KeyLost);
    let changed = self::spec(json!({"RotateKey": "2"}));
    assert_eq!(registration_state(&changed, &observed), RegistrationState::Needed);
}

#[test]
fn an_unknown_outcome_leaves_no_room_for_a_key() {
    let spec = spec(json!({}));
    let mut observed = connected(&spec);
    seen(&mut observed).user.tags.extend([Tag::new(PENDING, "AKIA2"), Tag::new(PENDING_REGION, "us-east-1")]);
    seen(&mut observed).keys.push(key("AKIA2"));
    assert_eq!(registration_state(&spec, &observed), RegistrationState::Uncertain);
    assert_eq!(key_room(&observed, Held::Unknown), KeyRoom::None { surplus: 1 });
}

/// The state after a run was killed between recording the registration and removing the pending tags.
#[test]
fn only_the_pending_tags_of_a_recorded_key_are_removed() {
    let spec = spec(json!({}));
    let mut observed = connected(&spec);
    seen(&mut observed).user.tags.extend([Tag::new(PENDING, "AKIA1"), Tag::new(PENDING_REGION, "us-east-1")]);
    assert_eq!(registration_state(&spec, &observed), RegistrationState::Current);
    let plan = planned(&spec, &observed);
    assert!(
        plan.starts_with(
            "acquire the lease > untag user (coiled-stack:pending-access-key-id, coiled-stack:pending-region)"
        ),
        "{plan}"
    );
    assert!(!plan.contains("key >"), "{plan}");
}

/// Coiled's response matches only the later registration, so its key is kept even if the other was used more recently.
#[test]
fn the_key_that_coiled_holds_is_not_deleted_to_make_room() {
    let spec = spec(json!({}));
    let mut observed = connected(&spec);
    seen(&mut observed).user.tags.extend([Tag::new(PENDING, "AKIA2"), Tag::new(PENDING_REGION, "us-east-2")]);
    seen(&mut observed).keys.push(key("AKIA2"));
    let tags = seen(&mut observed).user.tags.clone();
    assert_eq!(held_key(&tags, &shown("eu-west-1")), None);
    let held = Held::Key(held_key(&tags, &shown("us-east-2")).unwrap());
    let plan = line(&spec, &replace("us-east-2", &observed), &observed);
    let new_key = "open the WebSocket to Coiled > make room for a new key (delete AKIA1) > create access key";
    assert!(plan.contains(new_key), "{plan}");
    // Coiled may actually hold yet another key.
    seen(&mut observed).keys.push(key("AKIA3"));
    assert_eq!(key_room(&observed, held), KeyRoom::None { surplus: 2 });
}

/// Coiled may hold any of these keys, and its response does not show which one.
#[test]
fn no_key_that_coiled_may_hold_is_deleted_to_make_room() {
    let spec = spec(json!({"RotateKey": "2"}));
    let room = |keys: &[Key]| {
        let mut observed = connected(&spec);
        seen(&mut observed).keys = keys.to_vec();
        key_room(&observed, Held::Key("AKIA1"))
    };
    let inactive = |id| Key { active: false, ..key(id) };
    assert_eq!(room(&[key("AKIA1")]), KeyRoom::Free);
    for two in [
        [key("AKIA1"), key("AKIA2")],
        [inactive("AKIA1"), key("AKIA2")],
        [key("AKIA1"), inactive("AKIA2")],
        [key("AKIA2"), key("AKIA3")],
    ] {
        assert_eq!(room(&two), KeyRoom::None { surplus: 1 });
    }
    let eight: Vec<Key> = (1..=8).map(|n| key(&format!("AKIA{n}"))).collect();
    assert_eq!(room(&eight), KeyRoom::None { surplus: 7 });
}

#[test]
fn the_keys_of_an_adopted_user_are_not_deleted_to_make_room() {
    let mut observed = connected(&spec(json!({"AdoptExisting": "true"})));
    seen(&mut observed).owner = Owner::Coiled;
    seen(&mut observed).keys.push(key("AKIA0"));
    assert_eq!(key_room(&observed, Held::Unknown), KeyRoom::None { surplus: 1 });
}

/// Adds the lease of a run that was killed while it was creating keys.
fn killed(observed: &mut Observed, key_time: &str) {
    let tag = Tag::new(LEASE, format!("r/400000000000/900/{key_time}"));
    seen(observed).lease = Lease::read(std::slice::from_ref(&tag));
    seen(observed).user.tags.push(tag);
}

#[test]
fn a_stray_key_is_deleted_first_to_make_room() {
    let spec = spec(json!({"RotateKey": "2"}));
    let mut observed = connected(&spec);
    seen(&mut observed).keys.push(key("AKIASTRAY"));
    killed(&mut observed, "keys 495 505");
    let plan = line(&spec, &replace("us-gov-west-1", &observed), &observed);
    assert!(plan.contains("make room for a new key (delete AKIASTRAY) > create access key"), "{plan}");
}

/// Anyone who can tag the user can write a lease, and can remove the tag that names Coiled's key.
#[test]
fn no_tag_makes_the_key_that_coiled_holds_count_as_a_stray() {
    let spec = spec(json!({"RotateKey": "2"}));
    let room = |tag: Option<Tag>, held| {
        let mut observed = connected(&spec);
        let user = seen(&mut observed);
        user.keys.push(Key { created: Some(550), ..key("AKIALATER") });
        user.user.tags.retain(|tag| tag.key != ACCESS_KEY_ID);
        user.user.tags.extend(tag);
        killed(&mut observed, "keys 495 550");
        key_room(&observed, held)
    };
    let spare = |id: &str| KeyRoom::After(vec![id.to_owned()]);
    let none = KeyRoom::None { surplus: 1 };
    for tag in [ACCESS_KEY_ID, PENDING] {
        assert_eq!(room(Some(Tag::new(tag, "AKIA1")), Held::Unknown), spare("AKIALATER"));
        assert_eq!(room(Some(Tag::new(tag, "AKIALATER")), Held::Unknown), none, "Coiled holds the older key");
        assert_eq!(room(Some(Tag::new(tag, "AKIADELETED")), Held::Unknown), none);
    }
    assert_eq!(room(None, Held::Unknown), none);
    assert_eq!(room(None, Held::Nothing), spare("AKIA1"), "the workspace is not connected");
}

/// The run had read its registration back. A key that a person created afterwards may have been registered since.
#[test]
fn older_keys_are_deleted_after_a_run_that_only_recorded_its_key() {
    let unchanged = spec(json!({}));
    let mut observed = connected(&unchanged);
    seen(&mut observed).keys.push(Key { created: Some(100), ..key("AKIAOLD") });
    assert!(!planned(&unchanged, &observed).contains("AKIAOLD"), "without a pending tag, the key belongs to a person");
    seen(&mut observed).user.tags.push(Tag::new(PENDING, "AKIA1"));
    assert!(planned(&unchanged, &observed).contains("(delete access keys AKIAOLD)"));
    assert_eq!(key_room(&observed, Held::Unknown), KeyRoom::After(vec!["AKIAOLD".to_owned()]));
    seen(&mut observed).keys.push(Key { created: Some(900), ..key("AKIANEW") });
    assert!(!planned(&unchanged, &observed).contains("AKIANEW"));
    assert_eq!(key_room(&observed, Held::Unknown), KeyRoom::None { surplus: 1 });
}

#[test]
fn a_stray_key_is_deleted_only_if_a_lease_is_left_over() {
    let spec = spec(json!({}));
    let mut observed = connected(&spec);
    seen(&mut observed).keys.push(key("AKIASTRAY"));
    assert!(plan(&wanted(&spec, KEEP), &observed).is_none());
    // The first three leases exclude the key, because they name it or another time. The last one is a lease of a run
    // that creates no key, so it names no time.
    for other in ["keys 400 450", "keys 503 510", "keys 495 505 AKIASTRAY", ""] {
        let mut observed = observed.clone();
        killed(&mut observed, other);
        assert_eq!(planned(&spec, &observed), "acquire the lease > check the lease > release the lease");
        assert!(!has_unexplained_key(&observed), "{other}");
    }
    killed(&mut observed, "keys 495 505");
    assert!(has_unexplained_key(&observed));
    assert_eq!(
        planned(&spec, &observed),
        "acquire the lease > (delete access keys AKIASTRAY) > check the lease > release the lease"
    );
}

/// A run calls only STS with its key.
#[test]
fn a_key_that_may_be_in_use_is_not_a_stray() {
    let spec = spec(json!({}));
    for last_use in [LastUse::Used, LastUse::Unknown] {
        let mut observed = connected(&spec);
        seen(&mut observed).keys.push(Key { last_use, ..key("AKIASTRAY") });
        killed(&mut observed, "keys 495 505");
        assert_eq!(seen(&mut observed).suspects().count(), 1);
        assert!(!planned(&spec, &observed).contains("AKIASTRAY"), "{last_use:?}");
        assert_eq!(key_room(&observed, Held::Unknown), KeyRoom::None { surplus: 1 });
    }
}

/// This run's lease replaces that of the killed run. Without this, nothing would explain the stray key if this run were
/// killed too.
#[test]
fn the_lease_of_the_next_run_explains_the_stray_key_too() {
    let spec = spec(json!({}));
    let mut observed = connected(&spec);
    let time = Duration::from_secs(10);
    assert_eq!(next_key_time(&observed, false, time), None);
    seen(&mut observed).keys.push(key("AKIASTRAY"));
    killed(&mut observed, "keys 495 505");
    for registers in [false, true] {
        let key_time = next_key_time(&observed, registers, time).unwrap();
        assert!(key_time.covers(&key("AKIASTRAY")), "{registers}");
    }
    seen(&mut observed).lease = None;
    assert!(!next_key_time(&observed, true, time).unwrap().covers(&key("AKIASTRAY")));
}

/// The pending key's registration may still be in progress, although Coiled shows no connection yet.
#[test]
fn the_recorded_key_makes_room_if_coiled_holds_no_key() {
    let mut observed = connected(&spec(json!({})));
    seen(&mut observed).keys.push(key("AKIA2"));
    assert_eq!(key_room(&observed, Held::Nothing), KeyRoom::After(vec!["AKIA1".to_owned()]));
    seen(&mut observed).user.tags.push(Tag::new(PENDING, "AKIA2"));
    assert_eq!(key_room(&observed, Held::Nothing), KeyRoom::After(vec!["AKIA1".to_owned()]));
    seen(&mut observed).user.tags.retain(|tag| tag.key != ACCESS_KEY_ID);
    assert_eq!(key_room(&observed, Held::Nothing), KeyRoom::None { surplus: 1 });
}

#[test]
fn a_policy_of_another_release_gets_a_new_default_version() {
    let spec = spec(json!({}));
    let mut observed = connected(&spec);
    observed.policies.get_mut(&Kind::Ongoing).unwrap().document = "{}".into();
    assert_eq!(
        planned(&spec, &observed),
        "acquire the lease > (set a new default version of the ongoing policy) > check the lease > release the lease"
    );
}

#[test]
fn a_boundary_is_set_and_is_deleted_only_if_the_stack_set_it() {
    let bounded = spec(json!({"PermissionsBoundaryArn": "arn:aws:iam::111122223333:policy/b"}));
    let plain = spec(json!({}));
    assert!(
        planned(&bounded, &connected(&plain)).contains("set permissions boundary arn:aws:iam::111122223333:policy/b")
    );
    let mut observed = connected(&plain);
    seen(&mut observed).user.boundary = Some("arn:aws:iam::111122223333:policy/b".into());
    assert!(plan(&wanted(&bounded, KEEP), &observed).is_none());
    let mut wanted = wanted(&plain, KEEP);
    wanted.old_boundary = Some("arn:aws:iam::111122223333:policy/b".into());
    assert!(plan(&wanted, &observed).unwrap().to_string().contains("delete permissions boundary"));
    wanted.old_boundary = None;
    assert!(plan(&wanted, &observed).is_none(), "a boundary that someone else set is kept");
}

#[test]
fn only_stack_tags_are_removed() {
    let before = json!({"Tags": [{"Key": "team", "Value": "a"}]});
    let mut observed = connected(&spec(before));
    let before = json!({"Tags": [{"Key": "team", "Value": "a"}, {"Key": "coiled-stack:stack-id", "Value": "x"}]});
    seen(&mut observed).user.tags.push(Tag::new("persons-own", "x"));
    let spec = spec(json!({}));
    let mut wanted = wanted(&spec, KEEP);
    wanted.old_tag_keys = keys_leniently(&before);
    assert_eq!(
        plan(&wanted, &observed).unwrap().to_string(),
        "acquire the lease > untag user (team) > (untag setup policy (team) | untag ongoing policy (team)) \
         > check the lease > release the lease"
    );
}

#[test]
fn a_stack_tag_named_owner_replaces_coileds_owner_tag() {
    let own = spec(json!({"Tags": [{"Key": "Owner", "Value": "team"}]}));
    let keys: Vec<String> = wanted(&own, KEEP).user_tags.into_iter().map(|tag| tag.key).collect();
    assert_eq!(keys, [STACK_ID, LOGICAL_ID, "Owner", SERVER, WORKSPACE]);
}

/// IAM treats `Owner` and `owner` as two tags of a policy, so the old one has to be removed.
#[test]
fn the_old_spelling_of_owner_is_removed_from_user_and_policies() {
    let (plain, own) = (spec(json!({})), spec(json!({"Tags": [{"Key": "Owner", "Value": "team"}]})));
    for (before, after, old, new) in [(&plain, &own, "owner", "Owner"), (&own, &plain, "Owner", "owner")] {
        let mut wanted = wanted(after, KEEP);
        wanted.old_tag_keys = if old == "Owner" { vec!["Owner".into()] } else { Vec::new() };
        assert_eq!(
            plan(&wanted, &connected(before)).unwrap().to_string(),
            format!(
                "acquire the lease > untag user ({old}) > tag user ({new}) \
                 > (untag setup policy ({old}) > tag setup policy ({new}) \
                 | untag ongoing policy ({old}) > tag ongoing policy ({new})) \
                 > check the lease > release the lease"
            )
        );
    }
}

#[test]
fn an_adopted_user_is_tagged_first_and_its_keys_are_deleted_last() {
    let spec = spec(json!({"AdoptExisting": "true"}));
    let mut observed = connected(&spec);
    observed.policies.values_mut().for_each(|policy| policy.tags.clear());
    let user = seen(&mut observed);
    user.owner = Owner::Coiled;
    user.user.tags = vec![Tag::new("owner", "coiled")];
    let plan = planned(&spec, &observed);
    assert!(plan.starts_with("adopt user > (") && plan.contains("| tag setup policy"), "{plan}");
    assert!(plan.ends_with("record the registration > delete access keys AKIA1 > release the lease"), "{plan}");
}
