//! One item per page in every IAM list. "IAM might return fewer than the MaxItems number of results, even when there are
//! more results available" (IAM API reference, `IsTruncated` of every list), so no reader may rely on any page size. moto
//! returns all items of most lists at once.
//!
//! The test's own reads are not cut: it checks the state, and not how to read it.

use std::ops::Range;

use axum::body::Bytes;

use super::call::AwsCall;
use super::reply::{Reply, inside};
use crate::support::account::TEST_KEY;

/// The marker before the number of items that earlier pages contained.
const AFTER: &str = "after-";

/// Removes the paging parameters from a list's request, because moto must return the whole list.
pub(super) fn whole_list(call: &AwsCall, body: Bytes) -> Bytes {
    if !is_cut(call) {
        return body;
    }
    let fields = call.params.iter().filter(|(name, _)| !["Marker", "MaxItems"].contains(&name.as_str()));
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into()
}

/// The page of a list that the call asks for.
pub(super) fn page(call: &AwsCall, reply: Reply) -> Reply {
    if !is_cut(call) || reply.status != 200 {
        return reply;
    }
    let items = items(&reply.body);
    let marker = call.params.get("Marker").map(|marker| marker.strip_prefix(AFTER).and_then(|n| n.parse().ok()));
    match marker.unwrap_or(Some(0)) {
        Some(n) if n < items.len().max(1) => Reply { body: only(call, &reply.body, &items, n), ..reply },
        _ => Reply::error(call, 400, "ValidationError", "Invalid Marker."),
    }
}

fn is_cut(call: &AwsCall) -> bool {
    call.service == "iam" && call.action.starts_with("List") && call.access_key_id != TEST_KEY
}

/// The places of the items in a reply. An item may itself contain a list.
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

/// The body with its `n`th item only, and with the marker of the next page.
fn only(call: &AwsCall, xml: &str, items: &[Range<usize>], n: usize) -> String {
    let mut body = xml.to_owned();
    for (_, item) in items.iter().enumerate().rev().filter(|(number, _)| *number != n) {
        body.replace_range(item.clone(), "");
    }
    for element in ["IsTruncated", "Marker"] {
        if let Some(old) = inside(&body, element) {
            body = body.replace(&format!("<{element}>{old}</{element}>"), "");
        }
    }
    let rest = match n + 1 {
        next if next < items.len() => format!("<IsTruncated>true</IsTruncated><Marker>{AFTER}{next}</Marker>"),
        _ => "<IsTruncated>false</IsTruncated>".to_owned(),
    };
    let end = format!("</{}Result>", call.action);
    body.replace(&end, &format!("{rest}{end}"))
}
