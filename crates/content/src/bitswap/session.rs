//! A session: one connection's conversation, from its first message to its last.

use super::{
    fetch::Answer,
    handler::Link,
    ledger::Ledger,
    message::{Message, Presence, Received, Wants},
    swarm::{Entered, Shared},
    wantlist::{Due, Wantlist},
    wire::{self, Ended},
};
use crate::{Reader, View, metric};
use futures::{AsyncWriteExt, FutureExt, future::BoxFuture};
use libp2p::Stream;
use std::{sync::Arc, time::Instant};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

/// Messages of the peer that were read and not looked at yet.
const INBOX_MAX: usize = 8;
/// Wants that are answered at once.
const DUE_MAX: usize = 128;

/// What came over a stream.
type Heard = Result<Message, &'static str>;

/// What is being sent.
type Work = BoxFuture<'static, Result<Vec<(Due, Outcome)>, Ended>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Answered,
    NotHere,
    Later,
}

struct Session {
    shared: Arc<Shared>,
    entered: Entered,
    link: Link,
    requests: mpsc::Receiver<Message>,
    changes: watch::Receiver<u64>,
    wants: Wantlist,
    view: View,
    /// A message of this node's own that goes next.
    own: Option<Message>,
}

/// Holds the conversation until the connection ends, the peer breaks the protocol, or nothing is said any more.
pub(crate) async fn run(
    shared: Arc<Shared>,
    entered: Entered,
    link: Link,
    requests: mpsc::Receiver<Message>,
) {
    let (peer, connection) = (entered.peer, entered.connection);
    let changes = shared.store.changes();
    let view = shared.store.view(Reader::Peer(peer));
    let wants = Wantlist::default();
    let mut session =
        Session { shared: Arc::clone(&shared), entered, link, requests, changes, wants, view, own: None };
    let ended = session.converse().await;
    let open = session.wants.len();
    session.entered.ledger.wants_changed(open, 0);
    shared.leave(&session.entered);
    drop(session);
    if let Ended::Wrong(what) = ended {
        metric::cut_off();
        tracing::warn!(%peer, what, "cut a content peer off");
        shared.cut_off(peer).await;
    } else {
        shared.close(connection).await;
    }
    metric::peers(shared.peer_count());
}

impl Session {
    async fn converse(&mut self) -> Ended {
        let (inbox_sender, mut inbox) = mpsc::channel(INBOX_MAX);
        let mut streams = JoinSet::new();
        let mut work: Option<Work> = None;
        let idle = tokio::time::sleep(self.shared.limits.idle_timeout);
        tokio::pin!(idle);
        loop {
            if work.is_none() {
                work = self.next_work();
            }
            let outcome = tokio::select! {
                () = self.shared.stop.cancelled() => Err(Ended::Closed),
                Some(outcomes) = async { Some(work.as_mut()?.await) }, if work.is_some() => {
                    work = None;
                    outcomes.map(|outcomes| self.note(&outcomes))
                }
                stream = self.link.inbound.recv() => match stream {
                    None => Err(Ended::Closed),
                    Some(stream) => {
                        if streams.len() < self.shared.limits.streams_per_connection_max {
                            streams.spawn(listen(
                                Arc::clone(&self.shared),
                                Arc::clone(&self.entered.ledger),
                                stream,
                                inbox_sender.clone(),
                            ));
                        }
                        Ok(())
                    }
                },
                Some(_) = streams.join_next() => Ok(()),
                Some(heard) = inbox.recv() => match heard {
                    Ok(message) => self.take(message).await,
                    Err(what) => Err(Ended::Wrong(what)),
                },
                Some(message) = self.requests.recv(), if self.own.is_none() => {
                    self.own = Some(message);
                    Ok(())
                }
                Ok(()) = self.changes.changed() => {
                    self.wants.look_again();
                    continue;
                }
                () = &mut idle => {
                    if self.wants.len() == 0 { Err(Ended::Closed) } else { Ok(()) }
                }
            };
            if let Err(ended) = outcome {
                return ended;
            }
            idle.as_mut().reset(tokio::time::Instant::now() + self.shared.limits.idle_timeout);
        }
    }

    /// What the peer has said.
    async fn take(&mut self, message: Message) -> Result<(), Ended> {
        let Message { full, entries, blocks, presences } = message;
        let before = self.wants.len();
        if full {
            self.wants.clear();
        }
        let room = self.entered.ledger.room(&self.shared.limits) + before;
        for entry in &entries {
            // What finds no room is dropped, as in other implementations: the peer asks again.
            self.wants.apply(entry, room.saturating_sub(self.wants.len()));
        }
        self.entered.ledger.wants_changed(before, self.wants.len());
        for block in blocks {
            self.take_block(block).await?;
        }
        for (cid, presence) in presences {
            let expected = self.shared.expected.lock().get(&cid).cloned();
            if presence == Presence::DontHave {
                for fetch in expected.into_iter().flatten() {
                    let _ = fetch.send(Answer::DontHave { peer: self.entered.peer, cid }).await;
                }
            }
        }
        Ok(())
    }

    async fn take_block(&self, received: Received) -> Result<(), Ended> {
        let expected = self.shared.expected.lock().remove(&received.cid);
        let Some(expected) = expected else {
            let too_many = self.entered.ledger.unwanted_block(&self.shared.limits);
            return if too_many { Err(Ended::Wrong("blocks that nobody asked for")) } else { Ok(()) };
        };
        metric::received();
        // The CID is that of the bytes, so no other bytes can ever be right: the fetch must not wait for them.
        let cid = received.cid;
        let block = received.verify().map_err(|error| tracing::debug!(%cid, %error, "a block of wrong form"));
        for fetch in expected {
            let answer = block.clone().map_or(Answer::Unusable { cid }, Answer::Block);
            // A fetch that has ended does not take it any more.
            let _ = fetch.send(answer).await;
        }
        Ok(())
    }

    /// The next message to send, if there is one: this node's own first.
    fn next_work(&mut self) -> Option<Work> {
        let own = self.own.take();
        let due = if own.is_some() { Vec::new() } else { self.wants.take_due(DUE_MAX) };
        if own.is_none() && due.is_empty() {
            return None;
        }
        let (shared, view, open) = (Arc::clone(&self.shared), self.view.clone(), self.link.open.clone());
        let ledger = Arc::clone(&self.entered.ledger);
        let work = async move {
            let (message, outcomes) = match own {
                Some(message) => (message, Vec::new()),
                None => {
                    let enough = shared.limits.answer_bytes_enough;
                    let answer = tokio::task::spawn_blocking(move || answer(&view, due, enough));
                    answer.await.map_err(|_| Ended::Closed)?
                }
            };
            let (blocks, refused) = tally(&outcomes);
            if message.is_empty() {
                ledger.sent(0, blocks, refused);
                return Ok(outcomes);
            }
            let frame = wire::frame(&message);
            // Before a byte leaves: a peer that reads and hangs up has had it all the same.
            ledger.sent(frame.len(), blocks, refused);
            send(&shared, &open, &frame).await?;
            Ok(outcomes)
        };
        Some(work.boxed())
    }

    fn note(&mut self, outcomes: &[(Due, Outcome)]) {
        let before = self.wants.len();
        // From the last to the first, so that what was put back stands in its old order.
        for (due, outcome) in outcomes.iter().rev() {
            match outcome {
                Outcome::Answered => self.wants.answered(due),
                Outcome::NotHere => self.wants.not_here(due),
                Outcome::Later => self.wants.put_back(due),
            }
        }
        self.entered.ledger.wants_changed(before, self.wants.len());
    }
}

/// Blocks that are given, and wants that are refused for the first time.
fn tally(outcomes: &[(Due, Outcome)]) -> (usize, usize) {
    let count =
        |is: fn(&Due, Outcome) -> bool| outcomes.iter().filter(|(due, outcome)| is(due, *outcome)).count();
    (
        count(|due, outcome| outcome == Outcome::Answered && matches!(due.wants, Wants::Block { .. })),
        count(|due, outcome| outcome == Outcome::NotHere && !due.told),
    )
}

/// Reads one stream of the peer to its end.
async fn listen(shared: Arc<Shared>, ledger: Arc<Ledger>, mut stream: Stream, inbox: mpsc::Sender<Heard>) {
    let (bytes_max, timeout) = (shared.limits.message_bytes_max, shared.limits.message_timeout);
    loop {
        let heard = match wire::read(&mut stream, bytes_max, timeout).await {
            Ok(Some((_, bytes))) if !ledger.received(bytes, Instant::now()) => {
                Err("more messages or bytes than the bounds let through")
            }
            Ok(Some((message, _))) => Ok(message),
            Ok(None) | Err(Ended::Closed) => return,
            Err(Ended::Wrong(what)) => Err(what),
        };
        let wrong = heard.is_err();
        // Waits while the session is busy, which holds the peer up.
        if inbox.send(heard).await.is_err() || wrong {
            return;
        }
    }
}

/// Sends a message on a stream of its own. A stream that stays open may have been given up by the peer without a word,
/// and with it the message.
async fn send(
    shared: &Shared,
    open: &mpsc::Sender<oneshot::Sender<Stream>>,
    frame: &[u8],
) -> Result<(), Ended> {
    let (reply, opened) = oneshot::channel();
    open.send(reply).await.map_err(|_| Ended::Closed)?;
    let mut stream = opened.await.map_err(|_| Ended::Closed)?;
    wire::write(&mut stream, frame, shared.limits.message_timeout).await?;
    let closed = tokio::time::timeout(shared.limits.message_timeout, stream.close()).await;
    closed.map_err(|_| Ended::Closed)??;
    Ok(())
}

/// Answers wants, as many as fit one message. Runs outside of the async threads.
fn answer(view: &View, due: Vec<Due>, bytes_enough: usize) -> (Message, Vec<(Due, Outcome)>) {
    let (mut message, mut bytes) = (Message::default(), 0);
    let mut outcomes = Vec::with_capacity(due.len());
    for one in due {
        if bytes >= bytes_enough {
            outcomes.push((one, Outcome::Later));
            continue;
        }
        let (Wants::Block { send_dont_have } | Wants::Have { send_dont_have }) = one.wants else { continue };
        let found = view.block(&one.cid).unwrap_or_else(|error| {
            tracing::warn!(cid = %one.cid, error = ?error, "read a block for a content peer");
            None
        });
        let outcome = match found {
            Some(block) if matches!(one.wants, Wants::Block { .. }) => {
                metric::sent();
                bytes += block.bytes().len();
                message.blocks.push(Received::from(&block));
                Outcome::Answered
            }
            Some(_) => {
                message.presences.push((one.cid, Presence::Have));
                Outcome::Answered
            }
            None => {
                metric::refused();
                if send_dont_have && !one.told {
                    message.presences.push((one.cid, Presence::DontHave));
                }
                Outcome::NotHere
            }
        };
        outcomes.push((one, outcome));
    }
    (message, outcomes)
}
