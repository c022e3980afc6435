//! Reads all pages of a list.
//!
//! "IAM might return fewer than the MaxItems number of results, even when there are more results available" (IAM API
//! reference, `IsTruncated`). So a list ends only when no further marker is returned, however short its pages are.

use std::error::Error as StdError;

use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::operation::RequestId;
use aws_sdk_iam::operation::list_access_keys::ListAccessKeysOutput;
use aws_sdk_iam::operation::list_attached_user_policies::ListAttachedUserPoliciesOutput;
use aws_sdk_iam::operation::list_entities_for_policy::ListEntitiesForPolicyOutput;
use aws_sdk_iam::operation::list_groups_for_user::ListGroupsForUserOutput;
use aws_sdk_iam::operation::list_mfa_devices::ListMfaDevicesOutput;
use aws_sdk_iam::operation::list_policy_versions::ListPolicyVersionsOutput;
use aws_sdk_iam::operation::list_signing_certificates::ListSigningCertificatesOutput;
use aws_sdk_iam::operation::list_ssh_public_keys::ListSshPublicKeysOutput;
use aws_sdk_iam::operation::list_user_policies::ListUserPoliciesOutput;
use aws_smithy_async::future::pagination_stream::PaginationStream;
use tokio::sync::Mutex;

use super::Iam;
use crate::aws::absent_is_none;
use crate::error::Error;

/// The stream of an SDK paginator.
type Pages<P, E> = PaginationStream<Result<P, SdkError<E>>>;

/// One page of a list.
pub(super) trait Page: RequestId {
    /// The marker of the next page; `None` on the last page.
    fn next(&self) -> Option<String>;
}

macro_rules! page {
    ($($output:ty),* $(,)?) => {
        $(impl Page for $output {
            fn next(&self) -> Option<String> {
                self.marker.clone().filter(|marker| !marker.is_empty())
            }
        })*
    };
}

page!(
    ListAccessKeysOutput,
    ListAttachedUserPoliciesOutput,
    ListEntitiesForPolicyOutput,
    ListGroupsForUserOutput,
    ListMfaDevicesOutput,
    ListPolicyVersionsOutput,
    ListSigningCertificatesOutput,
    ListSshPublicKeysOutput,
    ListUserPoliciesOutput,
);

/// A list that is being read.
struct Reading<P, E> {
    pages: Pages<P, E>,
    marker: Option<String>,
}

impl<P: Page, E> Reading<P, E> {
    /// Reads the next page. An SDK paginator ends after an error, so a new paginator requests the failed page again.
    async fn next(&mut self, start: &impl Fn(Option<String>) -> Pages<P, E>) -> Result<P, SdkError<E>> {
        let page = match self.pages.next().await {
            Some(page) => page,
            None => Err(SdkError::construction_failure("the list has ended")),
        };
        match &page {
            Ok(page) if page.request_id().is_some() => self.marker = page.next(),
            // A page without AWS's request ID is not from AWS, so it is read again.
            _ => self.pages = start(self.marker.clone()),
        }
        page
    }
}

impl Iam {
    /// Reads all pages of a list. Returns no pages if the user or policy does not exist. `start` returns an SDK
    /// paginator that begins at a marker. Each page is retried like any other call.
    pub(super) async fn pages<P, E>(
        &self,
        name: &'static str,
        start: impl Fn(Option<String>) -> Pages<P, E>,
    ) -> Result<Vec<P>, Error>
    where
        P: Page,
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let reading = Mutex::new(Reading { pages: start(None), marker: None });
        let mut all = Vec::new();
        loop {
            let send = || async { reading.lock().await.next(&start).await };
            // After the first page, NoSuchEntity most likely comes from a stale replica that does not know the user or
            // policy.
            let transient: &[&str] = if all.is_empty() { &[] } else { &["NoSuchEntity"] };
            let Some(page) = absent_is_none(self.patience.call(name, transient, send).await)? else { return Ok(all) };
            let is_last = page.next().is_none();
            all.push(page);
            if is_last {
                return Ok(all);
            }
        }
    }
}
