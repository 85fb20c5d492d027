//! One connection to one validator, from its handshake to its end.

use crate::{
    Channel, Event, Limits,
    behaviour::Opened,
    budget::Budget,
    channel,
    driver::Command,
    ending::{Ending, Reason},
    exchange,
    handle::{Handle, Permits, Queue},
    handler::Link,
    handshake::{self, Streams},
    metric,
    protocol::Kind,
    pulse,
    roster::Peer,
    shared::Shared,
};
use futures::AsyncReadExt;
use libp2p::Stream;
use std::{collections::VecDeque, sync::Arc, time::Instant};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
};

/// How a dialled connection fared, for the dialler's patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fared {
    /// The channels never worked.
    Failed,
    /// The channels worked for a while.
    Worked,
}

/// A task of a session.
#[derive(Debug)]
enum TaskEnd {
    /// A direction of a channel, or the pulse, ended, and with it the session.
    Lasting(Reason),
    /// An exchange is over.
    Exchange,
}

/// Runs a connection's session. `fared` is told at the end.
#[tracing::instrument(name = "network.session", skip_all, fields(peer = %opened.peer))]
pub(crate) async fn run(
    shared: Arc<Shared>,
    opened: Opened,
    events: mpsc::Sender<Event>,
    fared: Option<oneshot::Sender<Fared>>,
) {
    let ending = Arc::new(Ending::within(&shared.stop));
    let (connection, opened_by) = (opened.connection, opened.peer);
    let outcome = match shared.roster.peer(opened.peer).cloned() {
        Some(peer) => live(&shared, &peer, opened, &events, &ending).await,
        None => Fared::Failed,
    };
    let reason = ending.ended().await;
    metrics::counter!(metric::ENDED_CONNECTIONS, "reason" => reason.name()).increment(1);
    if reason == Reason::Violation {
        let ban = shared.bans.breach(opened_by, Instant::now());
        tracing::warn!(seconds = ban.as_secs_f32(), "ban a validator that broke the protocol");
    }
    match (reason, outcome) {
        (Reason::Overflow | Reason::Violation | Reason::OtherNetwork, _) => {
            tracing::warn!(reason = reason.name(), "drop connection");
        }
        (_, Fared::Worked) => tracing::info!(reason = reason.name(), "disconnected"),
        (_, Fared::Failed) => tracing::debug!(reason = reason.name(), "connection came to nothing"),
    }
    // When the driver is gone, so are all connections.
    let _ = shared.commands.send(Command::Close(connection)).await;
    if let Some(fared) = fared {
        let _ = fared.send(outcome);
    }
}

/// From the handshake to the end, of which `ending` keeps the reason.
async fn live(
    shared: &Arc<Shared>,
    peer: &Peer,
    opened: Opened,
    events: &mpsc::Sender<Event>,
    ending: &Arc<Ending>,
) -> Fared {
    let Opened { dialled, mut link, .. } = opened;
    let Some(_turn) = shared.take_turn(peer.index, ending).await else {
        ending.end(Reason::Closed);
        return Fared::Failed;
    };
    let shaking =
        async { if dialled { handshake::begin(&link).await } else { handshake::wait(&mut link).await } };
    let shaken = tokio::select! {
        _ = ending.ended() => return Fared::Failed,
        shaken = tokio::time::timeout(shared.limits.handshake_timeout, shaking) => shaken,
    };
    let streams = match shaken.unwrap_or(Err(Reason::Handshake)) {
        Ok(streams) => streams,
        Err(reason) => {
            ending.end(reason);
            return Fared::Failed;
        }
    };
    let (handle, queues) = Handle::new(peer.index, Arc::clone(ending), link.open.clone(), &shared.limits);
    shared.set_live(Arc::new(handle));
    tracing::info!("connected");
    tell(shared, events, Event::Connected(peer.index)).await;
    let mut tasks = JoinSet::new();
    let early = start_lasting(&mut tasks, peer, streams, queues, &shared.limits, events);
    serve(shared, peer, &mut link, early, &mut tasks, events, ending).await;
    shared.clear_live(peer.index);
    // Nothing of this connection may follow its end.
    tasks.shutdown().await;
    tell(shared, events, Event::Disconnected(peer.index)).await;
    Fared::Worked
}

/// Passes an event to the owner, who may have stopped listening before it stopped the network.
async fn tell(shared: &Shared, events: &mpsc::Sender<Event>, event: Event) {
    tokio::select! {
        biased;
        _ = events.send(event) => {}
        () = shared.stop.cancelled() => {}
    }
}

/// Refusals that are being told to a peer at once.
const REFUSALS_MAX: usize = 16;

/// Starts the tasks of the lasting streams and returns the exchanges that wait.
fn start_lasting(
    tasks: &mut JoinSet<TaskEnd>,
    peer: &Peer,
    streams: Streams,
    queues: [Queue; 3],
    limits: &Limits,
    events: &mpsc::Sender<Event>,
) -> VecDeque<(Kind, Stream)> {
    let budget = Arc::new(Budget::of_channels(limits, Instant::now()));
    for ((channel, stream), queue) in Channel::ALL.into_iter().zip(streams.channels).zip(queues) {
        let (reader, writer) = stream.split();
        let (limits, budget, events) = (limits.clone(), Arc::clone(&budget), events.clone());
        let read = channel::read_messages(peer.index, channel, reader, limits, budget, events);
        tasks.spawn(async move { TaskEnd::Lasting(read.await) });
        tasks.spawn(async move { TaskEnd::Lasting(channel::write_messages(channel, writer, queue).await) });
    }
    let pulse = pulse::keep(streams.pulse, limits.pulse_interval);
    tasks.spawn(async move { TaskEnd::Lasting(pulse.await) });
    streams.early
}

/// Serves the peer's exchanges until the session ends.
async fn serve(
    shared: &Arc<Shared>,
    peer: &Peer,
    link: &mut Link,
    early: VecDeque<(Kind, Stream)>,
    tasks: &mut JoinSet<TaskEnd>,
    events: &mpsc::Sender<Event>,
    ending: &Ending,
) {
    let server = exchange::Server { shared: Arc::clone(shared), peer: peer.clone(), events: events.clone() };
    // An honest peer counts an exchange as over before this side does, so it is given twice its room.
    let permits = Permits::new(&shared.limits, 2);
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    for exchange in early {
        begin(tasks, &server, &permits, &refusals, exchange);
    }
    loop {
        tokio::select! {
            _ = ending.ended() => return,
            Some(ended) = tasks.join_next() => match ended {
                Ok(TaskEnd::Exchange) => {}
                Ok(TaskEnd::Lasting(reason)) => ending.end(reason),
                Err(error) => {
                    tracing::error!(%error, "a task of the session failed");
                    ending.end(Reason::Closed);
                }
            },
            stream = link.inbound.recv() => match stream {
                None => ending.end(Reason::Closed),
                // Each of these has its stream already.
                Some((kind, _)) if Kind::LASTING.contains(&kind) => ending.end(Reason::Violation),
                Some(exchange) => begin(tasks, &server, &permits, &refusals, exchange),
            },
        }
    }
}

/// Begins to serve an exchange, or tells the peer that it has too many in hand.
fn begin(
    tasks: &mut JoinSet<TaskEnd>,
    server: &exchange::Server,
    permits: &Permits,
    refusals: &Arc<Semaphore>,
    (kind, stream): (Kind, Stream),
) {
    let server = server.clone();
    if let Ok(permit) = Arc::clone(permits.of(kind)).try_acquire_owned() {
        tasks.spawn(async move {
            server.serve(kind, stream).await;
            drop(permit);
            TaskEnd::Exchange
        });
    } else if let Ok(permit) = Arc::clone(refusals).try_acquire_owned() {
        tasks.spawn(async move {
            server.refuse(stream).await;
            drop(permit);
            TaskEnd::Exchange
        });
    } else {
        // Telling takes a task too, so beyond its own bound a stream is reset without a word.
        drop(stream);
    }
}
