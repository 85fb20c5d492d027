//! JSON-RPC batches: transactions that follow one another in a batch are submitted together, so that a node writes them
//! to disk in one flush. Everything else in a batch is answered one after the other, as the server does by itself.

use super::RESPONSE_BYTES_MAX;
use crate::fault::Fault;
use alloy_primitives::Bytes;
use bxp_types::{Ledger, SubmitError};
use jsonrpsee::{
    BatchResponseBuilder, MethodResponse, ResponsePayload,
    core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification, RpcServiceT},
    types::{ErrorObjectOwned, Id, Request},
};
use std::sync::Arc;
use tower::Layer;

const RESPONSE_LENGTH_MAX: usize = RESPONSE_BYTES_MAX as usize;

/// Adds [`Batches`] to a connection.
#[derive(Clone)]
pub(super) struct BatchLayer(pub(super) Arc<dyn Ledger>);

impl<S> Layer<S> for BatchLayer {
    type Service = Batches<S>;

    fn layer(&self, inner: S) -> Batches<S> {
        Batches { inner, ledger: Arc::clone(&self.0) }
    }
}

/// Answers batches; calls outside of batches go through.
#[derive(Clone)]
pub(super) struct Batches<S> {
    inner: S,
    ledger: Arc<dyn Ledger>,
}

impl<S> RpcServiceT for Batches<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse, NotificationResponse = MethodResponse>
        + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.call(request)
    }

    fn notification<'a>(&self, told: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(told)
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.clone();
        async move { service.answer(batch).await.unwrap_or_else(|too_large| too_large) }
    }
}

impl<S> Batches<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse, NotificationResponse = MethodResponse>,
{
    /// The batch's answer, or the error that it would be too large.
    async fn answer(&self, batch: Batch<'_>) -> Result<MethodResponse, MethodResponse> {
        let mut answers = BatchResponseBuilder::new_with_limit(RESPONSE_LENGTH_MAX);
        let mut waiting = Vec::new();
        let mut notified = false;
        for entry in batch {
            let entry = match submission(entry) {
                Ok(submission) => {
                    waiting.push(submission);
                    continue;
                }
                Err(entry) => entry,
            };
            self.submit(std::mem::take(&mut waiting), &mut answers).await?;
            match entry {
                Ok(BatchEntry::Call(request)) => answers.append(self.inner.call(request).await)?,
                Ok(BatchEntry::Notification(told)) => {
                    notified = true;
                    self.inner.notification(told).await;
                }
                Err(malformed) => {
                    let (error, id) = malformed.into_parts();
                    answers.append(MethodResponse::error(id, error))?;
                }
            }
        }
        self.submit(waiting, &mut answers).await?;
        // Notifications have no answer; a batch of nothing is an invalid request, which an empty answer says.
        if answers.is_empty() && notified {
            return Ok(MethodResponse::notification());
        }
        Ok(MethodResponse::from_batch(answers.finish()))
    }

    /// Submits transactions that followed one another.
    async fn submit(
        &self,
        waiting: Vec<(Id<'_>, Bytes)>,
        answers: &mut BatchResponseBuilder,
    ) -> Result<(), MethodResponse> {
        if waiting.is_empty() {
            return Ok(());
        }
        let (ids, raws): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        let submitted = self.ledger.submit_many(raws).await;
        let missing = || Err(SubmitError::Storage("the ledger gave no answer".to_owned()));
        for (id, result) in ids.into_iter().zip(submitted.into_iter().chain(std::iter::repeat_with(missing)))
        {
            answers.append(match result {
                Ok(hash) => MethodResponse::response(id, ResponsePayload::success(hash), RESPONSE_LENGTH_MAX),
                Err(error) => MethodResponse::error(id, ErrorObjectOwned::from(Fault::from(error))),
            })?;
        }
        Ok(())
    }
}

/// The id and the transaction of a call of `eth_sendRawTransaction`; anything else, and such a call with other
/// parameters than one string of bytes, is given back.
fn submission<'a>(
    entry: Result<BatchEntry<'a>, BatchEntryErr<'a>>,
) -> Result<(Id<'a>, Bytes), Result<BatchEntry<'a>, BatchEntryErr<'a>>> {
    match entry {
        Ok(BatchEntry::Call(request)) if request.method == "eth_sendRawTransaction" => {
            let parameters = request.params.as_ref().map(|parameters| parameters.get());
            match parameters.and_then(|parameters| serde_json::from_str::<(Bytes,)>(parameters).ok()) {
                Some((raw,)) => Ok((request.id, raw)),
                None => Err(Ok(BatchEntry::Call(request))),
            }
        }
        other => Err(other),
    }
}
