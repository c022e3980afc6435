//! Bring your own network, and who may reach the schedulers.

use serde::Serialize;
use serde_json::Value;

use super::reader::Reader;

/// An existing network for the clusters, in the words of Coiled's message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// `vpc-…`
    pub network_id: String,
    /// `subnet-…`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler_subnet_id: Option<String>,
    /// `subnet-…`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_subnet_id: Option<String>,
    /// `sg-…`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall_id: Option<String>,
}

/// One rule: these ports from this network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ingress {
    /// TCP ports.
    pub ports: Vec<u16>,
    /// IPv4 or IPv6, in CIDR notation.
    pub cidr: String,
}

/// Reads the network; the last three ids need the first.
pub fn network(reader: &mut Reader) -> Option<Network> {
    let network_id = reader.parsed("NetworkId", |text| id(text, "vpc-"));
    let scheduler_subnet_id = reader.parsed("SchedulerSubnetId", |text| id(text, "subnet-"));
    let worker_subnet_id = reader.parsed("WorkerSubnetId", |text| id(text, "subnet-"));
    let firewall_id = reader.parsed("FirewallId", |text| id(text, "sg-"));
    if !reader.given("NetworkId") {
        for name in ["SchedulerSubnetId", "WorkerSubnetId", "FirewallId"] {
            if reader.given(name) {
                reader.fault(name, "needs NetworkId beside it");
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
        Err(format!("is not an id that begins with {prefix}"))
    }
}

/// Reads `Ingress`.
pub fn ingress(reader: &mut Reader) -> Vec<Ingress> {
    let items = reader.list("Ingress");
    items.iter().enumerate().filter_map(|(n, item)| rule(reader, n, item)).collect()
}

fn rule(outer: &mut Reader, n: usize, item: &Value) -> Option<Ingress> {
    let Value::Object(map) = item else {
        outer.fault(&format!("Ingress[{n}]"), "takes {\"Ports\": [..], \"Cidr\": \"..\"}");
        return None;
    };
    let mut reader = Reader::new(map, format!("Ingress[{n}]."));
    let ports = ports(&mut reader);
    let cidr = reader.required("Cidr");
    let cidr = cidr.and_then(|text| reader.parse("Cidr", &text, cidr_block));
    let faults = reader.finish();
    let sound = faults.is_empty();
    outer.absorb(faults);
    Some(Ingress { ports, cidr: cidr? }).filter(|_| sound)
}

fn ports(reader: &mut Reader) -> Vec<u16> {
    let before = reader.list("Ports");
    if before.is_empty() {
        reader.fault("Ports", "takes at least one port");
    }
    before.iter().filter_map(|value| port(reader, value)).collect()
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
        Err(_) => Err("is not a network in CIDR notation, such as 10.0.0.0/16".into()),
    }
}
