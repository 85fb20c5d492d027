//! The driver: the one task that gives the [`Machine`] its time, its sockets, its disk and its threads.

use crate::{
    ChainError, ChainEvent,
    job::Job,
    journal::Journal,
    machine::{Effect, Input, Machine, Moment},
    shared::Shared,
    sync::{SyncRequest, SyncResponse},
    traffic::Traffic,
};
use bxp_enclave::Enclave;
use bxp_network::{Network, Service};
use bxp_types::ValidatorIndex;
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{Notify, mpsc, oneshot};

/// Inputs taken in before what consensus says is flushed: one disk write and one round of frames for all.
const INPUTS_PER_FLUSH: usize = 256;
/// Local results that may wait.
const RESULTS_MAX: usize = 4_096;

pub(crate) struct Driver {
    shared: Arc<Shared>,
    machine: Machine,
    journal: Journal,
    network: Network,
    sent: Traffic,
    received: Traffic,
    born: Instant,
    results: mpsc::Sender<Input>,
    incoming: mpsc::Receiver<Input>,
}

impl Driver {
    pub(crate) fn open(shared: Arc<Shared>, enclave: Enclave, network: Network) -> Result<Self, ChainError> {
        let born = Instant::now();
        let (journal, records) =
            Journal::open(&shared.config.journal, Machine::begun_max(shared.head().height()))?;
        let machine = Machine::open(Arc::clone(&shared), Box::new(enclave), records, moment(born))?;
        let (results, incoming) = mpsc::channel(RESULTS_MAX);
        let (sent, received) = (Traffic::new("sent"), Traffic::new("received"));
        Ok(Self { shared, machine, journal, network, sent, received, born, results, incoming })
    }

    pub(crate) async fn run(
        mut self,
        mut events: mpsc::Receiver<ChainEvent>,
        pool_grew: Arc<Notify>,
    ) -> Result<(), ChainError> {
        loop {
            let wake_at = self.born + self.machine.wake_at(self.now());
            tokio::select! {
                biased;
                // Local work is finished before remote work is taken.
                Some(input) = self.incoming.recv() => self.machine.handle(input, moment(self.born))?,
                event = events.recv() => match event {
                    Some(ChainEvent::Shutdown) | None => return self.journal.sync(),
                    Some(event) => self.on_event(event)?,
                },
                () = pool_grew.notified() => {}
                () = tokio::time::sleep_until(wake_at.into()) => {}
            }
            for _ in 0..INPUTS_PER_FLUSH {
                if let Ok(input) = self.incoming.try_recv() {
                    self.machine.handle(input, self.now())?;
                } else {
                    match events.try_recv() {
                        Ok(ChainEvent::Shutdown) => return self.journal.sync(),
                        Ok(event) => self.on_event(event)?,
                        Err(_) => break,
                    }
                }
            }
            for effect in self.machine.turn(self.now())? {
                self.carry_out(effect)?;
            }
        }
    }

    fn now(&self) -> Moment {
        moment(self.born)
    }

    fn on_event(&mut self, event: ChainEvent) -> Result<(), ChainError> {
        let input = match event {
            ChainEvent::Connected(peer) => Input::Connected(peer),
            ChainEvent::Disconnected(peer) => Input::Disconnected(peer),
            ChainEvent::Message { from, channel, bytes } => {
                self.received.count(channel, &bytes, 1);
                Input::Message { from, channel, bytes }
            }
            ChainEvent::SyncRequest { bytes, reply } => {
                self.answer_sync(bytes, reply);
                return Ok(());
            }
            ChainEvent::Shutdown => return Ok(()),
        };
        self.machine.handle(input, self.now())
    }

    fn carry_out(&mut self, effect: Effect) -> Result<(), ChainError> {
        match effect {
            Effect::Append { begun, record } => self.journal.append(begun, &record)?,
            Effect::Sync => tokio::task::block_in_place(|| self.journal.sync())?,
            Effect::Settled(height) => self.journal.settled(height)?,
            Effect::Send { to, channel, bytes } => {
                self.sent.count(channel, &bytes, 1);
                if let Err(error) = self.network.send(to, channel, bytes) {
                    // Everything is said again when the peer comes back.
                    tracing::debug!(peer = %to, %error, "message not sent");
                }
            }
            Effect::Broadcast { channel, bytes } => {
                let peers = self.network.broadcast(channel, &bytes);
                self.sent.count(channel, &bytes, peers);
            }
            Effect::Ban(peer) => self.network.ban(peer),
            Effect::Run(job) => self.run_job(job),
            Effect::Fetch { from, request } => self.fetch(from, request),
        }
        Ok(())
    }

    fn run_job(&self, job: Job) {
        let (shared, results) = (Arc::clone(&self.shared), self.results.clone());
        tokio::task::spawn_blocking(move || {
            let _ = results.blocking_send(job.run(&shared));
        });
    }

    fn fetch(&self, from: ValidatorIndex, request: Bytes) {
        let (network, results) = (self.network.clone(), self.results.clone());
        let chain_id = self.shared.genesis.chain_id;
        tokio::spawn(async move {
            let answer = match network.request(from, Service::Sync, request).await {
                Ok(bytes) => read_answer(&network, from, bytes, chain_id).await,
                Err(error) => {
                    tracing::debug!(%from, %error, "no blocks from peer");
                    None
                }
            };
            let _ = results.send(Input::Fetched { from, answer }).await;
        });
    }

    fn answer_sync(&self, request: Bytes, reply: oneshot::Sender<Bytes>) {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || match SyncRequest::answer(&request, &shared.blocks) {
            Ok(answer) => drop(reply.send(answer.into())),
            Err(error) => tracing::warn!(%error, "refuse a sync request"),
        });
    }
}

/// Decodes an answer on another thread. A correct peer sends none that does not decode, whatever it knows of the chain, so
/// whoever does is banned.
async fn read_answer(
    network: &Network,
    from: ValidatorIndex,
    bytes: Bytes,
    chain_id: u64,
) -> Option<SyncResponse> {
    match tokio::task::spawn_blocking(move || SyncResponse::decode(&bytes, chain_id)).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            tracing::warn!(peer = %from, %error, "peer sends an answer that does not decode");
            network.ban(from);
            None
        }
        Err(error) => {
            tracing::error!(peer = %from, %error, "decode a peer's answer");
            None
        }
    }
}

fn moment(born: Instant) -> Moment {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH);
    Moment { elapsed: born.elapsed(), wall_ms: wall.map_or(0, |time| time.as_millis() as u64) }
}
