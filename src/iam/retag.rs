//! Making tags what they were.

use super::Iam;
use crate::error::Error;
use crate::properties::tags::Tag;

/// What makes tags as they were before, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retag {
    /// Other spellings of what is put back: in a user IAM takes `Owner` and `owner` for one.
    pub replaced: Vec<String>,
    /// Tags to put back.
    pub restore: Vec<Tag>,
    /// The rest of what goes, the marks among it: last, so that whoever comes after a run that was cut off in between
    /// sees whose it is.
    pub remove: Vec<String>,
}

/// What makes `there` as `before`. Keys count as they are written.
pub fn back_to(before: &[Tag], there: &[Tag]) -> Retag {
    let gone = there.iter().map(|tag| &tag.key).filter(|key| !before.iter().any(|other| other.key == **key)).cloned();
    let restore: Vec<Tag> = before.iter().filter(|tag| !there.contains(tag)).cloned().collect();
    let is_replaced = |key: &String| restore.iter().any(|tag| tag.key.eq_ignore_ascii_case(key));
    let (replaced, remove) = gone.partition(is_replaced);
    Retag { replaced, restore, remove }
}

impl Iam {
    /// Gives a user its tags back.
    pub async fn retag_user(&self, name: &str, to: &Retag) -> Result<(), Error> {
        self.untag_user(name, &to.replaced).await?;
        if !to.restore.is_empty() {
            self.tag_user(name, &to.restore).await?;
        }
        self.untag_user(name, &to.remove).await
    }

    /// Gives a policy its tags back.
    pub async fn retag_policy(&self, arn: &str, to: &Retag) -> Result<(), Error> {
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
    fn another_spelling_goes_first_and_the_marks_last() {
        let before = [Tag::new("owner", "coiled"), Tag::new("note", "a"), Tag::new("kept", "")];
        let there = [Tag::new("Owner", "data"), Tag::new("note", "b"), Tag::new("kept", ""), Tag::new("mark", "x")];
        let to = back_to(&before, &there);
        assert_eq!((to.replaced, to.remove), (vec!["Owner".to_owned()], vec!["mark".to_owned()]));
        assert_eq!(to.restore, [Tag::new("owner", "coiled"), Tag::new("note", "a")]);
    }
}
