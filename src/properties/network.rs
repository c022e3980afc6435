//! The properties for an existing network and for access to the schedulers.

use serde::Serialize;
use serde_json::Value;

use super::reader::Reader;

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
pub fn network(reader: &mut Reader) -> Option<Network> {
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

fn id(text: &str, prefix: &str) -> Result<String, String> {
    let hex = text.strip_prefix(prefix).unwrap_or_default();
    if hex.len() >= 3 && hex.bytes().all(|b| b.is_ascii_alphanumeric()) {
        Ok(text.to_owned())
    } else {
        Err(format!("is not an ID that begins with {prefix}"))
    }
}

/// Reads `Ingress`. Rules with errors are left out.
pub fn ingress(reader: &mut Reader) -> Vec<Ingress> {
    let items = reader.list("Ingress");
    items.iter().enumerate().filter_map(|(n, item)| rule(reader, n, item)).collect()
}

fn rule(outer: &mut Reader, n: usize, item: &Value) -> Option<Ingress> {
    let Value::Object(map) = item else {
        outer.reject(&format!("Ingress[{n}]"), "must have the form {\"Ports\": [..], \"Cidr\": \"..\"}");
        return None;
    };
    let mut reader = Reader::new(map, format!("Ingress[{n}]."));
    let ports = ports(&mut reader);
    let cidr = reader.required("Cidr");
    let cidr = cidr.and_then(|text| reader.parse("Cidr", &text, cidr_block));
    let invalid = reader.finish();
    let is_valid = invalid.is_empty();
    outer.absorb(invalid);
    Some(Ingress { ports, cidr: cidr? }).filter(|_| is_valid)
}

fn ports(reader: &mut Reader) -> Vec<u16> {
    let items = reader.list("Ports");
    if items.is_empty() {
        reader.reject("Ports", "must contain at least one port");
    }
    items.iter().filter_map(|value| port(reader, value)).collect()
}

fn port(reader: &mut Reader, value: &Value) -> Option<u16> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    reader.parse("Ports", &text, |text| match text.parse() {
        Ok(0) | Err(_) => Err("is not a port from 1 to 65535".into()),
        Ok(port) => Ok(port),
    })
}

fn cidr_block(text: &str) -> Result<String, String> {
    match text.parse::<ipnet::IpNet>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("is not an address range in CIDR notation, such as 10.0.0.0/16".into()),
    }
}
