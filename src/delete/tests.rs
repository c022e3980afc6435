use super::*;
use crate::aws::iam::keys::{Key, LastUse};
use crate::aws::iam::user::User;
use crate::properties::names::UserName;
use crate::resource::observe::SeenUser;
use crate::resource::ownership::Owner;
use crate::resource::trust::Workspace;
use crate::tag::{ACCESS_KEY_ID, ADOPTED, LEASE, PENDING, REGISTERED, Tag, WORKSPACE};

const POLICY: &str = "arn:aws:iam::111122223333:policy/coiled-ongoing";
const USER: &str = "arn:aws:iam::111122223333:user/coiled";

/// A stack with one policy, without a user.
fn without_user() -> Owned {
    Owned {
        name: UserName::parse("coiled").unwrap(),
        user: None,
        policies: vec![POLICY.into()],
        force: false,
        token_secret: None,
        server: None,
        workspace: None,
        spec: None,
    }
}

/// The same stack with a user that has one key and these tags.
fn tagged(keys: &[&str]) -> Owned {
    let tags = keys.iter().map(|key| match *key {
        ADOPTED => Tag::new(ADOPTED, "keys"),
        key => Tag::new(key, "x"),
    });
    let user = User { arn: USER.into(), name: "coiled".into(), path: "/".into(), boundary: None, tags: tags.collect() };
    let key = Key { id: "AKIA1".into(), active: true, created: None, last_use: LastUse::Unknown };
    let seen = SeenUser { user, owner: Owner::Ours, lease: None, keys: vec![key], attached: Vec::new() };
    Owned { user: Some(seen), ..without_user() }
}

/// The steps of a Delete, once for each possible owner of the workspace's connection.
fn lines(owned: &Owned) -> [String; 2] {
    let plan = Plan::new(owned);
    let line = |connection| format!("{} > {}", plan.deregister, plan.decide(connection));
    [line(AtCoiled::NotThisStack), line(AtCoiled::ThisStack)]
}

#[test]
fn delete_deregisters_first_and_deletes_the_user_last() {
    let everything = format!(
        "acquire the lease > disconnect the workspace > delete the user's contents > delete policy {POLICY} > delete user \
         {USER}"
    );
    assert_eq!(lines(&tagged(&[ACCESS_KEY_ID])), [everything.clone(), everything]);
    let policy = format!("look for a connection of the deleted user > delete policy {POLICY}");
    assert_eq!(lines(&without_user()), [policy.clone(), policy]);
}

#[test]
fn an_adopted_user_is_restored_only_if_this_stack_never_registered_a_key() {
    let [never, registered] = lines(&tagged(&[ADOPTED]));
    assert_eq!(never, "acquire the lease > disconnect the workspace > restore the adopted resources");
    assert!(registered.ends_with(&format!("delete user {USER}")), "{registered}");
    let [recorded, _] = lines(&tagged(&[ADOPTED, ACCESS_KEY_ID]));
    assert!(recorded.ends_with(&format!("delete user {USER}")), "{recorded}");
}

#[test]
fn delete_keeps_a_user_that_was_adopted_and_has_no_pending_key() {
    assert!(tagged(&[ADOPTED]).keeps_user());
    for deleted in [without_user(), tagged(&[]), tagged(&[ADOPTED, PENDING]), tagged(&[ADOPTED, ACCESS_KEY_ID])] {
        assert!(!deleted.keeps_user(), "{:?}", deleted.tags());
    }
}

#[test]
fn a_completed_user_without_a_record_gets_the_tag_of_its_key_back() {
    let lost = tagged(&[WORKSPACE]);
    assert_eq!(lost.lost_record(), Some(Tag::new(ACCESS_KEY_ID, "AKIA1")));
    assert_eq!(lost.tags(), [Tag::new(WORKSPACE, "x"), Tag::new(ACCESS_KEY_ID, "AKIA1")]);
    let named = Owned { workspace: Workspace::named(Some("ada"), None), ..tagged(&[]) };
    assert_eq!(named.lost_record(), Some(Tag::new(ACCESS_KEY_ID, "AKIA1")));

    let mut without_key = tagged(&[WORKSPACE]);
    without_key.user.as_mut().unwrap().keys.clear();
    for other in [
        without_user(),
        without_key,
        // The token's default may be another workspace by now.
        tagged(&[]),
        // A Create that did not register a key leaves one of these.
        tagged(&[WORKSPACE, LEASE]),
        tagged(&[WORKSPACE, ADOPTED]),
        // Each of these is a record.
        tagged(&[WORKSPACE, ACCESS_KEY_ID]),
        tagged(&[WORKSPACE, PENDING]),
        tagged(&[WORKSPACE, REGISTERED]),
    ] {
        assert_eq!(other.lost_record(), None, "{:?}", other.tags());
    }
}
