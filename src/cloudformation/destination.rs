//! Checks where a response may be sent: only to S3 in the stack's partition.
//!
//! Anyone who can invoke the function can send it any `ResponseURL`. CloudFormation's own URL is a pre-signed S3 URL.

use url::{Host, Url};

use crate::properties::names::{is_region, partition_of};

/// The partitions, each with the domain of its services. Source: `dnsSuffix` in the partitions of the AWS SDKs'
/// endpoint rules.
const PARTITIONS: [(&str, &str); 8] = [
    ("aws", ".amazonaws.com"),
    ("aws-cn", ".amazonaws.com.cn"),
    ("aws-us-gov", ".amazonaws.com"),
    ("aws-iso", ".c2s.ic.gov"),
    ("aws-iso-b", ".sc2s.sgov.gov"),
    ("aws-iso-e", ".cloud.adc-e.uk"),
    ("aws-iso-f", ".csp.hci.ic.gov"),
    ("aws-eusc", ".amazonaws.eu"),
];

/// Checks that a response may be sent to this URL. `partition` is the stack's partition, if the StackId names one.
/// `allowed` are the additional hosts from the environment, each as `HOST` or `HOST:PORT`.
///
/// # Errors
/// What is wrong with the URL.
pub fn check(url: &Url, partition: Option<&str>, allowed: &[String]) -> Result<(), String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it contains a user name or a password".into());
    }
    if is_allowed(url, allowed) {
        return Ok(());
    }
    if url.scheme() != "https" {
        return Err("it does not start with https://".into());
    }
    // A default port is not part of a parsed URL.
    if url.port().is_some() {
        return Err("it contains a port".into());
    }
    match url.host() {
        Some(Host::Domain(host)) if is_s3(host, partition) => Ok(()),
        _ => Err(format!(
            "its host is not an S3 endpoint{}",
            partition.map(|name| format!(" of {name}")).unwrap_or_default()
        )),
    }
}

fn is_allowed(url: &Url, allowed: &[String]) -> bool {
    let Some(host) = url.host_str() else { return false };
    let with_port = url.port_or_known_default().map(|port| format!("{host}:{port}"));
    let is_this = |entry: &String| {
        let is_host = url.port().is_none() && entry.eq_ignore_ascii_case(host);
        is_host || with_port.as_ref().is_some_and(|host| entry.eq_ignore_ascii_case(host))
    };
    allowed.iter().any(is_this)
}

/// Whether a host is an S3 endpoint of a partition. If the StackId does not name a partition, an endpoint of any
/// partition is accepted.
fn is_s3(host: &str, partition: Option<&str>) -> bool {
    let candidates = PARTITIONS.iter().filter(|(name, _)| partition.is_none_or(|partition| partition == *name));
    candidates.into_iter().any(|(name, domain)| host.strip_suffix(domain).is_some_and(|front| is_s3_of(front, name)))
}

/// Whether the labels before the domain are an S3 endpoint. They end with `s3`, optionally `dualstack`, and the region.
/// The bucket may come before them.
///
/// Source: "Amazon S3 endpoints and quotas" in the AWS General Reference. CloudFormation uses `BUCKET.s3.REGION`,
/// `BUCKET.s3-REGION` and `BUCKET.s3`.
fn is_s3_of(front: &str, partition: &str) -> bool {
    let labels: Vec<&str> = front.split('.').collect();
    let is_service = |label: &str| matches!(label, "s3" | "s3-fips");
    let (endpoint, bucket) = match labels.as_slice() {
        [bucket @ .., service, "dualstack", region] => (is_service(service) && is_in(region, partition), bucket),
        [bucket @ .., service, region] if is_service(service) => (is_in(region, partition), bucket),
        [bucket @ .., service] => (is_regional_service(service, partition), bucket),
        [] => (false, [].as_slice()),
    };
    endpoint && bucket.iter().all(|label| !label.is_empty())
}

/// Whether the label is `s3-us-west-2`, the older form of a regional endpoint, or `s3` alone. Only the partition `aws`
/// has endpoints without a region.
fn is_regional_service(label: &str, partition: &str) -> bool {
    let region = label.strip_prefix("s3-").map(|region| region.strip_prefix("fips-").unwrap_or(region));
    match region {
        None => label == "s3" && partition == "aws",
        Some("external-1") => partition == "aws",
        Some(region) => is_in(region, partition),
    }
}

/// `website-us-east-1` looks like a region too, but regions do not begin with such a long word.
fn is_in(region: &str, partition: &str) -> bool {
    let is_short = region.split('-').next().is_some_and(|word| word.len() <= 4);
    is_short && is_region(region) && partition_of(region) == partition
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(url: &str, partition: Option<&str>, allowed: &[&str]) -> Result<(), String> {
        let allowed: Vec<String> = allowed.iter().map(|host| (*host).to_owned()).collect();
        check(&Url::parse(url).map_err(|error| error.to_string())?, partition, &allowed)
    }

    #[test]
    fn an_s3_endpoint_of_the_stacks_partition_is_accepted_in_every_form() {
        for (partition, host) in [
            ("aws", "cloudformation-custom-resource-response-useast1.s3.amazonaws.com"),
            ("aws", "cloudformation-custom-resource-response-euwest1.s3-eu-west-1.amazonaws.com"),
            ("aws", "cloudformation-custom-resource-response-useast1.s3.us-east-1.amazonaws.com"),
            ("aws", "b.s3.dualstack.ap-southeast-2.amazonaws.com"),
            ("aws", "b.s3-fips.us-east-2.amazonaws.com"),
            ("aws", "b.s3-fips.dualstack.ca-central-1.amazonaws.com"),
            ("aws", "my.bucket.s3.me-south-1.amazonaws.com"),
            ("aws", "s3.amazonaws.com"),
            ("aws", "s3.il-central-1.amazonaws.com"),
            ("aws", "s3-us-west-2.amazonaws.com"),
            ("aws", "s3-external-1.amazonaws.com"),
            ("aws", "S3.US-WEST-2.AMAZONAWS.COM"),
            ("aws", "b.s3.us-east-1.amazonaws.com:443"),
            ("aws-cn", "cloudformation-custom-resource-response-cnnorth1.s3.cn-north-1.amazonaws.com.cn"),
            ("aws-cn", "b.s3.dualstack.cn-northwest-1.amazonaws.com.cn"),
            ("aws-us-gov", "b.s3.us-gov-west-1.amazonaws.com"),
            ("aws-us-gov", "b.s3-us-gov-west-1.amazonaws.com"),
            ("aws-us-gov", "b.s3-fips-us-gov-west-1.amazonaws.com"),
            ("aws-us-gov", "s3-fips.us-gov-east-1.amazonaws.com"),
            ("aws-iso", "b.s3.us-iso-east-1.c2s.ic.gov"),
            ("aws-iso-b", "b.s3.us-isob-east-1.sc2s.sgov.gov"),
            ("aws-iso-e", "b.s3.eu-isoe-west-1.cloud.adc-e.uk"),
            ("aws-iso-f", "b.s3.us-isof-south-1.csp.hci.ic.gov"),
            ("aws-eusc", "b.s3.eusc-de-east-1.amazonaws.eu"),
        ] {
            let url = format!("https://{host}/arn%3Aaws%3Acloudformation?X-Amz-Signature=x");
            assert_eq!(result(&url, Some(partition), &[]), Ok(()), "{host}");
            assert_eq!(result(&url, None, &[]), Ok(()), "{host}");
            assert!(result(&url.replace("https", "http"), Some(partition), &[]).is_err(), "{host}");
        }
    }

    #[test]
    fn an_s3_endpoint_of_another_partition_is_rejected() {
        for (partition, host) in [
            ("aws", "b.s3.us-gov-west-1.amazonaws.com"),
            ("aws", "b.s3.cn-north-1.amazonaws.com.cn"),
            ("aws", "b.s3.cn-north-1.amazonaws.com"),
            ("aws", "b.s3.eusc-de-east-1.amazonaws.eu"),
            ("aws-cn", "b.s3.us-east-1.amazonaws.com"),
            ("aws-cn", "b.s3.us-east-1.amazonaws.com.cn"),
            ("aws-us-gov", "b.s3.us-east-1.amazonaws.com"),
            ("aws-us-gov", "b.s3.amazonaws.com"),
            ("aws-iso", "b.s3.us-isob-east-1.sc2s.sgov.gov"),
            ("aws-unknown", "b.s3.us-east-1.amazonaws.com"),
        ] {
            let error = result(&format!("https://{host}/key"), Some(partition), &[]);
            assert_eq!(error, Err(format!("its host is not an S3 endpoint of {partition}")), "{host}");
        }
    }

    #[test]
    fn urls_that_are_not_s3_endpoints_are_rejected() {
        for url in [
            "https://example.com/",
            "https://s3.amazonaws.com.example.com/",
            "https://example.com/s3.amazonaws.com",
            "https://example.com#s3.amazonaws.com",
            "https://s3.amazonaws.com@example.com/",
            "https://user@b.s3.us-east-1.amazonaws.com/",
            "https://:secret@b.s3.us-east-1.amazonaws.com/",
            "https://b.s3.us-east-1.amazonaws.com:8443/",
            "https://b.s3.us-east-1.amazonaws.com./",
            "https://.s3.us-east-1.amazonaws.com/",
            "https://b..s3.us-east-1.amazonaws.com/",
            "https://evils3.amazonaws.com/",
            "https://evil-s3.us-east-1.amazonaws.com/",
            "https://amazonaws.com/",
            "https://s3amazonaws.com/",
            "https://ec2-203-0-113-1.compute-1.amazonaws.com/",
            "https://abc.execute-api.us-east-1.amazonaws.com/",
            "https://s3-1234.us-east-1.elb.amazonaws.com/",
            "https://b.s3-website-us-east-1.amazonaws.com/",
            "https://b.s3-website.us-east-1.amazonaws.com/",
            "https://111122223333.s3-control.us-east-1.amazonaws.com/",
            "https://a-1.s3-accesspoint.us-east-1.amazonaws.com/",
            "https://a-1.s3-object-lambda.us-east-1.amazonaws.com/",
            "https://s3.us-east-1.evil.amazonaws.com/",
            "https://dualstack.us-east-1.amazonaws.com/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://169.254.169.254/",
            "http://169.254.169.254/latest/meta-data",
        ] {
            for partition in [Some("aws"), None] {
                assert!(result(url, partition, &[]).is_err(), "{url}");
            }
        }
    }

    #[test]
    fn an_allowed_host_is_accepted_with_its_port_and_over_http() {
        let allowed = ["127.0.0.1:9104", "Responses.Example.com", "[::1]:80", ""];
        for url in [
            "http://127.0.0.1:9104/key",
            "https://127.0.0.1:9104/key",
            "https://responses.example.com/key",
            "http://responses.example.com/key",
            "http://[::1]/key",
        ] {
            assert_eq!(result(url, Some("aws"), &allowed), Ok(()), "{url}");
        }
        for url in [
            "http://127.0.0.1:9105/key",
            "http://127.0.0.1/key",
            "https://responses.example.com:8443/key",
            "https://other.example.com/key",
            "http://user@127.0.0.1:9104/key",
            "http://b.s3.us-east-1.amazonaws.com/key",
        ] {
            assert!(result(url, Some("aws"), &allowed).is_err(), "{url}");
        }
    }
}
