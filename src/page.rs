//! Recognizes HTML pages. Neither AWS nor Coiled's API sends them: a proxy, firewall or load balancer does.

use crate::redact::{mask_keys, shorten};

/// Describes an HTML page by its title. `None` if the body is not an HTML page.
pub(crate) fn describe(body: &str) -> Option<String> {
    let start: String = body.chars().take(1024).collect::<String>().to_ascii_lowercase();
    let is_page = ["<!doctype html", "<html"].iter().any(|tag| start.contains(tag));
    if !is_page || !start.trim_start_matches(['\u{feff}', ' ', '\r', '\n', '\t']).starts_with('<') {
        return None;
    }
    let title = title(body).map(|title| format!(" titled \"{}\"", shorten(&mask_keys(&title), 80))).unwrap_or_default();
    Some(format!("an HTML page{title}, which a proxy, firewall or load balancer sent"))
}

fn title(body: &str) -> Option<String> {
    let lower = body.to_ascii_lowercase();
    let open = lower.find("<title")?;
    let start = open + lower.get(open..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find("</title")?;
    let words = body.get(start..end)?.split_whitespace().collect::<Vec<_>>().join(" ");
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_described_by_its_title() {
        for (body, words) in [
            ("<html><head><title>502 Bad Gateway</title></head></html>", "titled \"502 Bad Gateway\""),
            ("<!DOCTYPE html>\n<HTML><TITLE lang=en>\n Blocked\n by policy </TITLE>", "titled \"Blocked by policy\""),
            ("<?xml version=\"1.0\"?><!DOCTYPE html><html/>", "an HTML page, which"),
            ("<html><title>", "an HTML page, which"),
        ] {
            assert!(describe(body).is_some_and(|text| text.contains(words)), "{body}: {:?}", describe(body));
        }
    }

    #[test]
    fn other_responses_are_not_pages() {
        for body in ["", "Bad Gateway", "{\"message\": \"<html>\"}", "<ErrorResponse><Error/></ErrorResponse>"] {
            assert_eq!(describe(body), None, "{body}");
        }
    }
}
