//! Restores earlier tags.

use super::Iam;
use crate::error::Error;
use crate::tag::Tag;

/// The changes that restore earlier tags, in the order in which they are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retag {
    /// Keys to remove first: other spellings of restored keys. On a user, IAM treats `Owner` and `owner` as the same
    /// key.
    pub replaced: Vec<String>,
    /// Tags to set to their earlier values.
    pub restore: Vec<Tag>,
    /// Keys to remove last, including the ownership tags. If the run is cut off before this, the next run still sees
    /// that the resource belongs to this stack.
    pub remove: Vec<String>,
}

/// The changes that turn `current` into `before`. Keys are case-sensitive here.
pub(crate) fn back_to(before: &[Tag], current: &[Tag]) -> Retag {
    let surplus =
        current.iter().map(|tag| &tag.key).filter(|key| !before.iter().any(|other| other.key == **key)).cloned();
    let restore: Vec<Tag> = before.iter().filter(|tag| !current.contains(tag)).cloned().collect();
    let is_replaced = |key: &String| restore.iter().any(|tag| tag.key.eq_ignore_ascii_case(key));
    let (replaced, remove) = surplus.partition(is_replaced);
    Retag { replaced, restore, remove }
}

impl Iam {
    /// Restores the tags of a user.
    pub(crate) async fn retag_user(&self, name: &str, to: &Retag) -> Result<(), Error> {
        self.untag_user(name, &to.replaced).await?;
        if !to.restore.is_empty() {
            self.tag_user(name, &to.restore).await?;
        }
        self.untag_user(name, &to.remove).await
    }

    /// Restores the tags of a policy.
    pub(crate) async fn retag_policy(&self, arn: &str, to: &Retag) -> Result<(), Error> {
        self.untag_policy(arn, &to.replaced).await?;
        if !to.restore.is_empty() {
            self.tag_policy(arn, &to.restore).await?;
        }
        self.untag_policy(arn, &to.remove).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_are_removed_first_and_new_tags_last() {
        let before = [Tag::new("owner", "coiled"), Tag::new("note", "a"), Tag::new("kept", "")];
        let current = [Tag::new("Owner", "data"), Tag::new("note", "b"), Tag::new("kept", ""), Tag::new("new", "x")];
        let to = back_to(&before, &current);
        assert_eq!((to.replaced, to.remove), (vec!["Owner".to_owned()], vec!["new".to_owned()]));
        assert_eq!(to.restore, [Tag::new("owner", "coiled"), Tag::new("note", "a")]);
    }
}
