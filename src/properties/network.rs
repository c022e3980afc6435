//! The properties for an existing network and for access to the schedulers.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;
use serde_json::Value;

use super::reader::{Reader, in_any_case, list_of};

/// An existing network for the clusters. Serializes with the field names of Coiled's registration message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// The VPC, `vpc-…`.
    pub network_id: String,
    /// The schedulers' subnet, `subnet-…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler_subnet_id: Option<String>,
    /// The workers' subnet, `subnet-…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_subnet_id: Option<String>,
    /// The machines' security group, `sg-…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall_id: Option<String>,
}

/// Allows access to the schedulers' ports from one address range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ingress {
    /// TCP ports.
    pub ports: Vec<u16>,
    /// An IPv4 or IPv6 range in CIDR notation.
    pub cidr: String,
}

/// Reads the four network properties. The other three require `NetworkId`.
pub(crate) fn network(reader: &mut Reader) -> Option<Network> {
    let network_id = reader.parsed("NetworkId", |text| id(text, "vpc-"));
    let scheduler_subnet_id = reader.parsed("SchedulerSubnetId", |text| id(text, "subnet-"));
    let worker_subnet_id = reader.parsed("WorkerSubnetId", |text| id(text, "subnet-"));
    let firewall_id = reader.parsed("FirewallId", |text| id(text, "sg-"));
    if !reader.given("NetworkId") {
        for name in ["SchedulerSubnetId", "WorkerSubnetId", "FirewallId"] {
            if reader.given(name) {
                reader.reject(name, "requires NetworkId");
            }
        }
    }
    Some(Network { network_id: network_id?, scheduler_subnet_id, worker_subnet_id, firewall_id })
}

/// Checks the prefix. EC2's IDs have 8 or 17 hexadecimal digits, but emulators use other lengths and letters.
fn id(text: &str, prefix: &str) -> Result<String, String> {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    if digits.len() >= 3 && digits.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err(format!("is not an ID that begins with {prefix}"))
    }
}

/// Reads `Ingress`. Rules with errors are left out.
///
/// Besides a list of rules, it accepts the forms that Coiled's client uses: a single rule (the deprecated option
/// `firewall`), or an object with the list under `ingress` (the result of `coiled.utils.cluster_firewall`).
pub(crate) fn ingress(reader: &mut Reader) -> Vec<Ingress> {
    let items = reader.json("Ingress").map(rules).unwrap_or_default();
    items.iter().enumerate().filter_map(|(n, item)| rule(reader, n, item)).collect()
}

fn rules(value: Value) -> Vec<Value> {
    let inner = value.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next());
    match inner {
        Some((name, inner)) if name.eq_ignore_ascii_case("ingress") => list_of(inner.clone()),
        _ => list_of(value),
    }
}

fn rule(outer: &mut Reader, n: usize, item: &Value) -> Option<Ingress> {
    let Value::Object(map) = item else {
        outer.reject(&format!("Ingress[{n}]"), "must have the form {\"Ports\": [..], \"Cidr\": \"..\"}");
        return None;
    };
    let map = match in_any_case(map, &["Ports", "Cidr"]) {
        Ok(map) => map,
        Err(problem) => {
            outer.reject(&format!("Ingress[{n}]"), problem);
            return None;
        }
    };
    let mut reader = Reader::new(&map, format!("Ingress[{n}]."));
    let ports = ports(&mut reader);
    let cidr = reader.required("Cidr");
    let cidr = cidr.and_then(|text| reader.parse("Cidr", &text, cidr_block));
    let invalid = reader.finish();
    let is_valid = invalid.is_empty();
    outer.absorb(invalid);
    Some(Ingress { ports, cidr: cidr? }).filter(|_| is_valid)
}

fn ports(reader: &mut Reader) -> Vec<u16> {
    let items = reader.scalars("Ports");
    if items.is_empty() {
        reader.reject("Ports", "must contain at least one port");
    }
    items.iter().filter_map(|text| reader.parse("Ports", text, port)).collect()
}

/// Coiled's client does not support port ranges either.
fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) | Err(_) if text.contains(['-', ':']) => {
            Err("is not a port from 1 to 65535: Coiled does not support ranges, so list each port".into())
        }
        Ok(0) | Err(_) => Err("is not a port from 1 to 65535".into()),
        Ok(port) => Ok(port),
    }
}

/// An address range, a single address, or `everyone` as in Coiled's client.
fn cidr_block(text: &str) -> Result<String, String> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address).to_string());
    }
    match text.parse::<IpNet>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) if text == "everyone" => Ok("0.0.0.0/0".into()),
        Err(_) if text == "me" => {
            Err("is not supported here, because the function does not know your address: enter the address itself"
                .into())
        }
        Err(_) => Err("is not an address range in CIDR notation, such as 10.0.0.0/16".into()),
    }
}
