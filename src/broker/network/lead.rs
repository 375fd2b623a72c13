//! The master that sentinels have led to, and whether it still is that.

use std::future::pending;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::broker::cause::BrokerFailure;
use crate::broker::redis_url::Address;

/// Watches where the master is. Ends when it is dropped.
pub(super) struct Lead {
    master: Address,
    /// Gets the reason when there is another master.
    told: oneshot::Receiver<BrokerFailure>,
    lost: Option<BrokerFailure>,
    watch: AbortHandle,
}

impl Lead {
    /// `watch` tells when there is another master.
    pub(super) fn new(master: Address, told: oneshot::Receiver<BrokerFailure>, watch: AbortHandle) -> Self {
        Self { master, told, lost: None, watch }
    }

    /// Where the master is.
    pub(super) fn master(&self) -> String {
        self.master.to_string()
    }

    /// Waits until there is another master; then returns at once. May be dropped while it waits.
    pub(super) async fn lost(&mut self) -> BrokerFailure {
        if self.lost.is_none() {
            match (&mut self.told).await {
                Ok(failure) => self.lost = Some(failure),
                Err(_) => pending().await,
            }
        }
        match &self.lost {
            Some(failure) => failure.clone(),
            None => pending().await,
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::runtime::Builder;

    use super::*;
    use crate::broker::cause::BrokerCause;

    #[test]
    fn that_there_is_another_master_is_told_again_and_again() {
        Builder::new_current_thread().build().unwrap().block_on(async {
            let (tell, told) = oneshot::channel();
            let watch = tokio::spawn(pending::<()>()).abort_handle();
            let mut lead = Lead::new(Address::new("a", 1), told, watch);
            assert!(lead.lost().now_or_never().is_none());
            tell.send(BrokerFailure::new(BrokerCause::Master, "b")).unwrap();
            for _ in 0..2 {
                assert_eq!(lead.lost().await.cause, BrokerCause::Master);
            }
        });
    }
}
