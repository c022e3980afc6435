//! CloudFormation's side: the request, the response, and where and how the response is delivered.

pub mod destination;
pub mod physical_id;
pub mod request;
pub mod response;
