use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::iam::keys::Key;
use crate::iam::tags::{LEASE, LOGICAL_ID, Lease, OwnershipTags, PENDING_REGION, SERVER, STACK_ID, WORKSPACE};
use crate::iam::user::User;
use crate::observe::SeenUser;
use crate::properties::tags::keys_leniently;
use crate::request::Envelope;

const SECRET: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:coiled-token-AbCdEf";

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

fn wanted(spec: &Spec, registers: bool) -> Wanted<'_> {
    let (tags, user_tags) = (ownership().for_policy(spec), ownership().for_user(spec, Some("ada")));
    Wanted { spec, tags, user_tags, old_tag_keys: Vec::new(), old_boundary: None, registers, held: None }
}

fn key(id: &str) -> Key {
    Key { id: id.into(), active: true }
}

fn policy(kind: Kind, spec: &Spec) -> Policy {
    Policy {
        arn: format!("arn:aws:iam::1:policy/{}", kind.name(&spec.user)),
        version: "v1".into(),
        tags: ownership().for_policy(spec),
        document: kind.document().into(),
    }
}

/// What a finished Create leaves behind.
fn connected(spec: &Spec) -> Observed {
    let digests = Digests { wanted: Digests::wanted(spec), shown: "shown".into() };
    let mut tags = wanted(spec, false).user_tags;
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
    plan(&wanted(spec, registration(spec, observed) == Registration::Needed), observed).to_string()
}

#[test]
fn a_create_from_nothing_runs_side_by_side_what_is_independent() {
    assert_eq!(
        planned(&spec(json!({})), &Observed::default()),
        "create user > (create Setup policy > attach Setup policy | create Ongoing policy > attach Ongoing policy \
         | create key > (prove key | mark pending | open socket)) > (settle | look again) > register \
         > (read back | verify) > record > release lease"
    );
}

#[test]
fn what_is_as_it_should_be_needs_nothing() {
    let spec = spec(json!({}));
    assert!(plan(&wanted(&spec, false), &connected(&spec)).is_empty());
    assert_eq!(registration(&spec, &connected(&spec)), Registration::Current);
}

#[test]
fn detaching_the_setup_policy_touches_nothing_else() {
    let observed = connected(&spec(json!({})));
    let plan = planned(&spec(json!({"AttachSetupPolicy": "false"})), &observed);
    assert_eq!(plan, "take lease > (detach Setup policy) > look again > release lease");
}

#[test]
fn whatever_is_registered_brings_a_new_key_when_it_changes() {
    let observed = connected(&spec(json!({})));
    for change in [
        json!({"Region": "us-east-2"}),
        json!({"RotateKey": "2"}),
        json!({"NetworkId": "vpc-123"}),
        json!({"Ingress": [{"Ports": ["22"], "Cidr": "10.0.0.0/8"}]}),
        json!({"Registry": "docker_hub", "DockerHubUsername": "a", "DockerHubTokenSecretArn": SECRET}),
    ] {
        let plan = planned(&spec(change.clone()), &observed);
        assert!(plan.starts_with("take lease > (create key"), "{change}: {plan}");
        assert!(plan.ends_with("> record > delete keys AKIA1 > release lease"), "{change}: {plan}");
    }
}

#[test]
fn nothing_else_brings_a_new_key() {
    let observed = connected(&spec(json!({})));
    for change in [
        json!({"AttachSetupPolicy": "false"}),
        json!({"PermissionsBoundaryArn": "arn:aws:iam::1:policy/b"}),
        json!({"Tags": [{"Key": "a", "Value": "b"}]}),
        json!({"Release": "9"}),
        json!({"ForceDisconnect": "true"}),
        json!({"AdoptExisting": "true"}),
    ] {
        assert_eq!(registration(&spec(change.clone()), &observed), Registration::Current, "{change}");
    }
}

#[test]
fn an_inactive_key_stays_revoked_and_a_missing_one_is_replaced() {
    let spec = spec(json!({}));
    let mut observed = connected(&spec);
    seen(&mut observed).keys = vec![Key { active: false, ..key("AKIA1") }];
    assert_eq!(registration(&spec, &observed), Registration::Current);
    seen(&mut observed).keys.clear();
    assert_eq!(registration(&spec, &observed), Registration::Needed);
}

#[test]
fn an_unknown_outcome_is_in_doubt_and_frees_the_least_used_key() {
    let spec = spec(json!({}));
    let mut observed = connected(&spec);
    seen(&mut observed).user.tags.extend([Tag::new(PENDING, "AKIA2"), Tag::new(PENDING_REGION, "us-east-1")]);
    seen(&mut observed).keys.push(key("AKIA2"));
    assert_eq!(registration(&spec, &observed), Registration::Uncertain);
    let plan = plan(&wanted(&spec, true), &observed).to_string();
    assert!(plan.contains("open socket > free a key slot (one of AKIA1, AKIA2) > create key"), "{plan}");
    assert!(plan.contains("delete keys AKIA1, AKIA2"), "{plan}");
}

/// A run that died between recording the registration and taking the pending mark away.
#[test]
fn a_pending_mark_that_is_recorded_too_is_only_removed() {
    let spec = spec(json!({}));
    let mut observed = connected(&spec);
    seen(&mut observed).user.tags.extend([Tag::new(PENDING, "AKIA1"), Tag::new(PENDING_REGION, "us-east-1")]);
    assert_eq!(registration(&spec, &observed), Registration::Current);
    let plan = planned(&spec, &observed);
    assert!(
        plan.starts_with("take lease > untag user (coiled-stack:pending-access-key-id, coiled-stack:pending-region)"),
        "{plan}"
    );
    assert!(!plan.contains("key >"), "{plan}");
}

/// What Coiled shows fits the later registration alone: then its key stays, whichever was used last.
#[test]
fn the_key_that_coiled_is_seen_to_hold_makes_no_room() {
    let spec = spec(json!({}));
    let mut observed = connected(&spec);
    seen(&mut observed).user.tags.extend([Tag::new(PENDING, "AKIA2"), Tag::new(PENDING_REGION, "us-east-2")]);
    seen(&mut observed).keys.push(key("AKIA2"));
    let tags = seen(&mut observed).user.tags.clone();
    let shown = |region| {
        let options = json!({"provider_name": "aws", "aws_region_name": region});
        crate::coiled::connection::Shown::new(json!({"backend": "vm", "options": options}))
    };
    assert_eq!(crate::coiled::registration::held_key(&tags, &shown("eu-west-1")), None);
    let held = crate::coiled::registration::held_key(&tags, &shown("us-east-2"));
    let plan = plan(&Wanted { held, ..wanted(&spec, true) }, &observed).to_string();
    assert!(plan.contains("open socket > free a key slot (one of AKIA1) > create key"), "{plan}");
}

#[test]
fn room_is_made_by_a_key_that_nobody_holds_first() {
    let spec = spec(json!({"RotateKey": "2"}));
    let mut observed = connected(&spec);
    seen(&mut observed).keys.push(key("AKIASTRAY"));
    let plan = plan(&wanted(&spec, true), &observed).to_string();
    assert!(plan.contains("free a key slot (one of AKIASTRAY) > create key"), "{plan}");
}

#[test]
fn a_stray_key_goes_only_where_a_run_died() {
    let spec = spec(json!({}));
    let mut observed = connected(&spec);
    seen(&mut observed).keys.push(key("AKIASTRAY"));
    assert!(plan(&wanted(&spec, false), &observed).is_empty());
    let lease = Lease::new("r", 0, false);
    seen(&mut observed).user.tags.push(Tag::new(LEASE, lease.tag().value));
    seen(&mut observed).lease = Some(lease);
    assert_eq!(planned(&spec, &observed), "take lease > (delete keys AKIASTRAY) > look again > release lease");
}

#[test]
fn a_document_of_another_release_gets_a_new_version() {
    let spec = spec(json!({}));
    let mut observed = connected(&spec);
    observed.policies.get_mut(&Kind::Ongoing).unwrap().document = "{}".into();
    assert_eq!(planned(&spec, &observed), "take lease > (put Ongoing policy's document) > look again > release lease");
}

#[test]
fn a_boundary_is_put_changed_and_taken_away() {
    let bounded = spec(json!({"PermissionsBoundaryArn": "arn:aws:iam::1:policy/b"}));
    let plain = spec(json!({}));
    assert!(planned(&bounded, &connected(&plain)).contains("put boundary arn:aws:iam::1:policy/b"));
    let mut observed = connected(&plain);
    seen(&mut observed).user.boundary = Some("arn:aws:iam::1:policy/b".into());
    assert!(plan(&wanted(&bounded, false), &observed).is_empty());
    let mut wanted = wanted(&plain, false);
    wanted.old_boundary = Some("arn:aws:iam::1:policy/b".into());
    assert!(plan(&wanted, &observed).to_string().contains("delete boundary"));
    wanted.old_boundary = None;
    assert_eq!(plan(&wanted, &observed).to_string(), "", "somebody else's stays");
}

#[test]
fn only_tags_of_this_stack_are_removed() {
    let before = json!({"Tags": [{"Key": "team", "Value": "a"}]});
    let mut observed = connected(&spec(before));
    let before = json!({"Tags": [{"Key": "team", "Value": "a"}, {"Key": "coiled-stack:stack-id", "Value": "x"}]});
    seen(&mut observed).user.tags.push(Tag::new("persons-own", "x"));
    let spec = spec(json!({}));
    let mut wanted = wanted(&spec, false);
    wanted.old_tag_keys = keys_leniently(&before);
    assert_eq!(
        plan(&wanted, &observed).to_string(),
        "take lease > untag user (team) > (untag Setup policy (team) | untag Ongoing policy (team)) > look again \
         > release lease"
    );
}

#[test]
fn an_owner_of_the_users_replaces_ours() {
    let own = spec(json!({"Tags": [{"Key": "Owner", "Value": "team"}]}));
    let keys: Vec<String> = wanted(&own, false).user_tags.into_iter().map(|tag| tag.key).collect();
    assert_eq!(keys, [STACK_ID, LOGICAL_ID, "Owner", SERVER, WORKSPACE]);
}

/// In a policy they are two tags, and the other one would stay.
#[test]
fn an_owner_in_another_spelling_goes_from_the_policies_too() {
    let (plain, own) = (spec(json!({})), spec(json!({"Tags": [{"Key": "Owner", "Value": "team"}]})));
    for (before, after, gone, comes) in [(&plain, &own, "owner", "Owner"), (&own, &plain, "Owner", "owner")] {
        let mut wanted = wanted(after, false);
        wanted.old_tag_keys = if gone == "Owner" { vec!["Owner".into()] } else { Vec::new() };
        assert_eq!(
            plan(&wanted, &connected(before)).to_string(),
            format!(
                "take lease > untag user ({gone}) > tag user ({comes}) > (untag Setup policy ({gone}) > tag Setup policy \
                 ({comes}) | untag Ongoing policy ({gone}) > tag Ongoing policy ({comes})) > look again > release lease"
            )
        );
    }
}

#[test]
fn an_adopted_user_is_marked_first_and_loses_its_keys_last() {
    let spec = spec(json!({"AdoptExisting": "true"}));
    let mut observed = connected(&spec);
    observed.policies.values_mut().for_each(|policy| policy.tags.clear());
    let user = seen(&mut observed);
    user.owner = Owner::Coiled;
    user.user.tags = vec![Tag::new("owner", "coiled")];
    user.keys.push(key("AKIA0"));
    let plan = planned(&spec, &observed);
    assert!(plan.starts_with("adopt user > (tag Setup policy"), "{plan}");
    assert!(plan.contains("free a key slot (one of AKIA1, AKIA0)"), "{plan}");
    assert!(plan.ends_with("record > delete keys AKIA1, AKIA0 > release lease"), "{plan}");
}
