//! One item per page in every IAM list. "IAM might return fewer than the MaxItems number of results, even when there
//! are more results available" (IAM API reference, `IsTruncated` of every list), so the function must not rely on a
//! page size. moto returns all items of most lists at once.
//!
//! The test's own reads are not split into pages, because they check the state and not how it is read.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use axum::body::Bytes;

use super::call::AwsCall;
use super::reply::{Reply, inside};
use crate::account::TEST_KEY;

/// Removes the paging parameters from a list's request, because moto must return the whole list.
pub(super) fn whole_list(call: &AwsCall, body: Bytes) -> Bytes {
    if !is_cut(call) {
        return body;
    }
    let fields = call.params.iter().filter(|(name, _)| !["Marker", "MaxItems"].contains(&name.as_str()));
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into()
}

/// The page of a list that the call asks for: the first item that no earlier page contained. This way, an item that is
/// deleted between two pages does not hide another.
pub(super) fn page(call: &AwsCall, reply: Reply) -> Reply {
    if !is_cut(call) || reply.status != 200 {
        return reply;
    }
    let Some(earlier) = read(call.param("Marker")) else {
        return Reply::error(call, 400, "ValidationError", "Invalid Marker.");
    };
    let items = items(&reply.body);
    let is_new = |item: &&Range<usize>| !earlier.contains(&digest(&reply.body[(*item).clone()]));
    let mut rest = items.iter().filter(is_new);
    let (item, has_more) = (rest.next(), rest.next().is_some());
    let seen = earlier.iter().copied().chain(item.map(|item| digest(&reply.body[item.clone()])));
    let marker = has_more.then(|| seen.map(|digest| format!("{digest:x}")).collect::<Vec<_>>().join("-"));
    Reply { body: only(call, &reply.body, &items, item, marker), ..reply }
}

/// Reads the digests of the items on earlier pages from a marker. `None` if the marker is invalid.
fn read(marker: &str) -> Option<Vec<u64>> {
    let digests = marker.split('-').filter(|_| !marker.is_empty());
    digests.map(|digest| u64::from_str_radix(digest, 16).ok()).collect()
}

fn digest(item: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    item.hash(&mut hasher);
    hasher.finish()
}

fn is_cut(call: &AwsCall) -> bool {
    call.service == "iam" && call.action.starts_with("List") && call.access_key_id != TEST_KEY
}

/// The positions of the items in a reply. An item may itself contain a list.
fn items(xml: &str) -> Vec<Range<usize>> {
    const ENDS: [(&str, i32); 2] = [("<member>", 1), ("</member>", -1)];
    let tags = xml.match_indices(['<']).filter_map(|(at, _)| {
        ENDS.iter().find(|(tag, _)| xml[at..].starts_with(tag)).map(|(tag, step)| (at, at + tag.len(), *step))
    });
    let (mut items, mut depth, mut start) = (Vec::new(), 0, 0);
    for (begin, end, step) in tags {
        if depth == 0 {
            start = begin;
        }
        depth += step;
        if depth == 0 {
            items.push(start..end);
        }
    }
    items
}

/// The body with only one of its items, and with the marker of the next page.
fn only(
    call: &AwsCall,
    xml: &str,
    items: &[Range<usize>],
    item: Option<&Range<usize>>,
    marker: Option<String>,
) -> String {
    let mut body = xml.to_owned();
    for other in items.iter().rev().filter(|other| Some(*other) != item) {
        body.replace_range(other.clone(), "");
    }
    for element in ["IsTruncated", "Marker"] {
        if let Some(old) = inside(&body, element) {
            body = body.replace(&format!("<{element}>{old}</{element}>"), "");
        }
    }
    let rest = match marker {
        Some(marker) => format!("<IsTruncated>true</IsTruncated><Marker>{marker}</Marker>"),
        None => "<IsTruncated>false</IsTruncated>".to_owned(),
    };
    let end = format!("</{}Result>", call.action);
    body.replace(&end, &format!("{rest}{end}"))
}
