//! Variants of an ARN: similar ARNs of other resources, and patterns that are too wide.

/// An ARN, split at every `:` and `/`.
struct Pieces<'a> {
    /// The separator before each piece, and the piece.
    all: Vec<(&'a str, &'a str)>,
}

/// The index of the resource type. The pieces before it are `arn`, partition, service, region and account.
const TYPE: usize = 5;

impl<'a> Pieces<'a> {
    fn of(arn: &'a str) -> Self {
        let mut all = Vec::new();
        let (mut rest, mut before) = (arn, "");
        while let Some(at) = rest.find([':', '/']) {
            all.push((before, &rest[..at]));
            (before, rest) = (&rest[at..=at], &rest[at + 1..]);
        }
        all.push((before, rest));
        assert!(all.len() > TYPE, "{arn} is not an ARN");
        Self { all }
    }

    /// The pieces worth varying. `arn`, the service, empty pieces and wildcards are left out. So is the name of a log
    /// stream, because every stream of the group belongs to the function.
    fn variable(&self) -> impl Iterator<Item = usize> {
        let end = self.all.iter().position(|(_, piece)| *piece == "log-stream").unwrap_or(self.all.len());
        (1..end).filter(|n| *n != 2 && !["", "*"].contains(&self.all[*n].1))
    }

    /// The pieces of the path between type and name, if slashes separate them.
    fn path(&self) -> std::ops::Range<usize> {
        let slashed = self.all.iter().skip(TYPE + 1).all(|(before, _)| *before == "/");
        if slashed { TYPE + 1..self.all.len().saturating_sub(1) } else { 0..0 }
    }

    /// The ARN without its path.
    fn without_path(&self) -> String {
        let path = self.path();
        let rest = self.all.iter().enumerate().filter(|(n, _)| !path.contains(n));
        rest.map(|(_, (before, piece))| format!("{before}{piece}")).collect()
    }

    /// The ARN with one piece replaced. `None` removes the piece and its separator.
    fn with(&self, n: usize, piece: Option<&str>) -> String {
        let each = self.all.iter().enumerate().map(|(m, (before, old))| match (m == n, piece) {
            (true, Some(new)) => format!("{before}{new}"),
            (true, None) => String::new(),
            (false, _) => format!("{before}{old}"),
        });
        each.collect()
    }

    fn replaced(&self, variants: impl Fn(usize, &str) -> Vec<String>) -> Vec<String> {
        let each = self.variable().flat_map(|n| {
            let variants = variants(n, self.all[n].1);
            variants.into_iter().map(move |piece| self.with(n, Some(&piece)))
        });
        let shorter = self.path().map(|n| self.with(n, None));
        each.chain(shorter).collect()
    }
}

/// ARNs that resemble this one but name other resources. They differ in partition, region, account, path or type, or
/// their name has the same beginning, the same end or a different case.
pub fn foreign(arn: &str) -> Vec<String> {
    let pieces = Pieces::of(arn);
    let text = |text: &str| text.to_owned();
    let mut all = pieces.replaced(|n, piece| match n {
        1 => ["aws", "aws-cn", "aws-us-gov"].into_iter().filter(|other| *other != piece).map(text).collect(),
        3 => vec![text("ap-southeast-4")],
        4 => vec![text("999988887777")],
        TYPE => vec![text("role")],
        _ => vec![text("other"), format!("{piece}2"), format!("a-{piece}"), piece.to_uppercase()],
    });
    if !pieces.path().is_empty() || pieces.all.len() == TYPE + 2 {
        all.push(pieces.with(TYPE, Some(&format!("{}/other", pieces.all[TYPE].1))));
    }
    all.push(pieces.without_path());
    all.retain(|other| other != arn);
    all
}

/// Patterns that match this ARN and other ARNs. Each replaces one piece or the whole ARN with a wildcard.
pub fn widened(arn: &str) -> Vec<String> {
    if arn == "*" {
        return Vec::new();
    }
    let pieces = Pieces::of(arn);
    let all = pieces.replaced(|n, piece| match n {
        1..=TYPE => vec!["*".to_owned()],
        _ => vec!["*".to_owned(), format!("{piece}*"), format!("*{piece}")],
    });
    let any_path = pieces.with(TYPE, Some(&format!("{}/*", pieces.all[TYPE].1)));
    all.into_iter().chain([any_path, "*".to_owned()]).collect()
}
