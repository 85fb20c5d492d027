//! Fetching a DAG: block by block from the peers that may have it, each verified, the whole within bounds.

use super::{
    Bitswap,
    message::{Entry, Message, Wants},
    swarm::Shared,
};
use crate::{Block, ContentError, Hold, dag::DEPTH_MAX};
use cid::Cid;
use libp2p::{Multiaddr, PeerId};
use serde::Serialize;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};
use tokio::{sync::mpsc, time::Instant};

/// Blocks that are asked for at once.
const WINDOW: usize = 32;
/// Answers that wait to be looked at; then sessions wait.
const ANSWERS_QUEUED_MAX: usize = 64;
/// Blocks are written when so many wait, or so many bytes.
const WRITE_BLOCKS: usize = 64;
const WRITE_BYTES: usize = 8 << 20;

/// How much one fetch may bring in. The quota bounds it too.
#[derive(Clone, Copy, Debug)]
pub struct FetchBounds {
    /// Blocks.
    pub blocks_max: u64,
    /// Bytes of blocks.
    pub bytes_max: u64,
    /// Links from the root to a block.
    pub depth_max: u16,
}

impl Default for FetchBounds {
    fn default() -> Self {
        Self { blocks_max: 1 << 20, bytes_max: 4 << 30, depth_max: DEPTH_MAX }
    }
}

/// What a fetch brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fetched {
    /// Blocks of the DAG.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of the blocks came from peers; the others were here.
    pub from_peers: u64,
}

/// What a session tells a fetch.
#[derive(Debug)]
pub(crate) enum Answer {
    Block(Block),
    DontHave {
        peer: PeerId,
        cid: Cid,
    },
    /// The bytes are those of the CID, and no block of its codec.
    Unusable {
        cid: Cid,
    },
}

impl Bitswap {
    /// Fetches the DAG under `root` from the peers at `addresses` and pins it: all of it, or on an error nothing.
    ///
    /// # Errors
    /// [`ContentError::Unreachable`] where no peer can be reached, [`ContentError::NotFetched`],
    /// [`ContentError::DagTooLarge`], [`ContentError::Quota`], [`ContentError::DiskNearlyFull`],
    /// [`ContentError::NotTheCodec`].
    pub async fn fetch(
        &self,
        root: Cid,
        addresses: &[Multiaddr],
        bounds: FetchBounds,
    ) -> Result<Fetched, ContentError> {
        crate::Codec::of(&root)?;
        let _place = self.shared.fetches.acquire().await.map_err(|_| ContentError::Stopped)?;
        let peers = self.reach(addresses).await?;
        let mut fetch = Fetch::new(&self.shared, root, peers, bounds);
        let outcome = fetch.run().await;
        let hold = fetch.hold.take().ok_or(ContentError::Stopped)?;
        drop(fetch);
        let finished = tokio::task::spawn_blocking(move || finish(hold, root, outcome));
        finished.await.map_err(|_| ContentError::Stopped)?
    }

    /// The peers that can be reached, of which there is one at least.
    async fn reach(&self, addresses: &[Multiaddr]) -> Result<Vec<PeerId>, ContentError> {
        let (mut peers, mut failed) = (Vec::new(), None);
        for address in addresses {
            match self.connect(address).await {
                Ok(peer) if !peers.contains(&peer) => peers.push(peer),
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
        }
        match (peers.is_empty(), failed) {
            (false, _) => Ok(peers),
            (true, Some(error)) => Err(error),
            (true, None) => Err(ContentError::Address(String::new())),
        }
    }
}

fn finish(
    mut hold: Hold,
    root: Cid,
    outcome: Result<Fetched, ContentError>,
) -> Result<Fetched, ContentError> {
    let outcome = outcome.and_then(|fetched| hold.pin(&[root]).map(|()| fetched));
    if outcome.is_err() {
        hold.abandon()?;
    }
    outcome
}

/// A want that is open at a peer.
#[derive(Debug)]
struct Asked {
    depth: u16,
    peer: PeerId,
    deadline: Instant,
    tried: Vec<PeerId>,
}

struct Fetch<'a> {
    shared: &'a Arc<Shared>,
    root: Cid,
    peers: Vec<PeerId>,
    bounds: FetchBounds,
    /// Taken out only while blocks are written.
    hold: Option<Hold>,
    met: HashSet<Cid>,
    queue: VecDeque<(Cid, u16)>,
    asked: HashMap<Cid, Asked>,
    unwritten: Vec<Block>,
    unwritten_bytes: usize,
    fetched: Fetched,
    /// Which peer is asked first the next time.
    turn: usize,
    sender: mpsc::Sender<Answer>,
    answers: mpsc::Receiver<Answer>,
}

impl<'a> Fetch<'a> {
    fn new(shared: &'a Arc<Shared>, root: Cid, peers: Vec<PeerId>, bounds: FetchBounds) -> Self {
        let (sender, answers) = mpsc::channel(ANSWERS_QUEUED_MAX);
        Self {
            shared,
            root,
            peers,
            bounds,
            hold: Some(shared.store.hold()),
            met: HashSet::from([root]),
            queue: VecDeque::from([(root, 0)]),
            asked: HashMap::new(),
            unwritten: Vec::new(),
            unwritten_bytes: 0,
            fetched: Fetched::default(),
            turn: 0,
            sender,
            answers,
        }
    }

    async fn run(&mut self) -> Result<Fetched, ContentError> {
        loop {
            while self.asked.len() < WINDOW
                && let Some((cid, depth)) = self.queue.pop_front()
            {
                match self.own(cid).await? {
                    Some(block) => self.accept(&block, depth)?,
                    None => self.ask(cid, depth, Vec::new())?,
                }
            }
            let Some(deadline) = self.asked.values().map(|asked| asked.deadline).min() else {
                self.write().await?;
                return Ok(self.fetched);
            };
            tokio::select! {
                () = self.shared.stop.cancelled() => return Err(ContentError::Stopped),
                Some(answer) = self.answers.recv() => self.take(answer).await?,
                () = tokio::time::sleep_until(deadline) => self.give_up_late()?,
            }
        }
    }

    /// A block that is here already.
    async fn own(&self, cid: Cid) -> Result<Option<Block>, ContentError> {
        let store = self.shared.store.clone();
        let read = tokio::task::spawn_blocking(move || store.view(crate::Reader::Operator).block(&cid));
        read.await.map_err(|_| ContentError::Stopped)?
    }

    async fn take(&mut self, answer: Answer) -> Result<(), ContentError> {
        match answer {
            Answer::Block(block) => {
                let Some(asked) = self.asked.remove(block.cid()) else { return Ok(()) };
                self.fetched.from_peers += 1;
                self.accept(&block, asked.depth)?;
                self.unwritten_bytes += block.bytes().len();
                self.unwritten.push(block);
                if self.unwritten.len() >= WRITE_BLOCKS || self.unwritten_bytes >= WRITE_BYTES {
                    self.write().await?;
                }
                Ok(())
            }
            Answer::Unusable { cid } => {
                Err(ContentError::NotFetched { cid, why: "its bytes are not of the form that its CID names" })
            }
            Answer::DontHave { peer, cid } => match self.asked.remove(&cid) {
                Some(asked) if asked.peer == peer => self.ask_next(cid, asked),
                Some(asked) => {
                    self.asked.insert(cid, asked);
                    Ok(())
                }
                None => Ok(()),
            },
        }
    }

    /// Counts a block of the DAG and queues what it links to.
    fn accept(&mut self, block: &Block, depth: u16) -> Result<(), ContentError> {
        let too_large = |what, max| ContentError::DagTooLarge { root: Box::new(self.root), what, max };
        self.fetched.blocks += 1;
        self.fetched.bytes += block.bytes().len() as u64;
        if self.met.len() as u64 > self.bounds.blocks_max {
            return Err(too_large("blocks", self.bounds.blocks_max));
        }
        if self.fetched.bytes > self.bounds.bytes_max {
            return Err(too_large("bytes", self.bounds.bytes_max));
        }
        if depth >= self.bounds.depth_max && !block.links().is_empty() {
            return Err(too_large("levels", self.bounds.depth_max.into()));
        }
        for link in block.links() {
            if self.met.insert(*link) {
                self.queue.push_back((*link, depth + 1));
            }
        }
        Ok(())
    }

    fn ask(&mut self, cid: Cid, depth: u16, tried: Vec<PeerId>) -> Result<(), ContentError> {
        let want = Entry { cid, wants: Wants::Block { send_dont_have: true } };
        let message = Message::of_entries(vec![want]);
        self.turn = self.turn.wrapping_add(1);
        let order = self.peers.iter().cycle().skip(self.turn % self.peers.len()).take(self.peers.len());
        let untried = order.filter(|peer| !tried.contains(peer)).copied().collect::<Vec<_>>();
        self.shared.expected.lock().entry(cid).or_default().push(self.sender.clone());
        for peer in untried {
            if self.shared.say(&peer, &message) {
                let deadline = Instant::now() + self.shared.limits.answer_timeout;
                self.asked.insert(cid, Asked { depth, peer, deadline, tried });
                return Ok(());
            }
        }
        self.expect_no_more(&cid);
        let why = "none of those that could be reached has it, or gives it to this node";
        Err(ContentError::NotFetched { cid, why })
    }

    fn ask_next(&mut self, cid: Cid, asked: Asked) -> Result<(), ContentError> {
        self.expect_no_more(&cid);
        let mut tried = asked.tried;
        tried.push(asked.peer);
        self.ask(cid, asked.depth, tried)
    }

    /// Peers that do not answer in time are not waited for.
    fn give_up_late(&mut self) -> Result<(), ContentError> {
        let now = Instant::now();
        let late = self.asked.iter().filter(|(_, asked)| asked.deadline <= now);
        for cid in late.map(|(cid, _)| *cid).collect::<Vec<_>>() {
            if let Some(asked) = self.asked.remove(&cid) {
                self.cancel(&cid, &asked.peer);
                self.ask_next(cid, asked)?;
            }
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<(), ContentError> {
        let blocks = std::mem::take(&mut self.unwritten);
        self.unwritten_bytes = 0;
        let mut hold = self.hold.take().ok_or(ContentError::Stopped)?;
        let work = tokio::task::spawn_blocking(move || {
            let written = hold.put(&blocks);
            (hold, written)
        });
        let (hold, written) = work.await.map_err(|_| ContentError::Stopped)?;
        self.hold = Some(hold);
        written
    }

    fn cancel(&self, cid: &Cid, peer: &PeerId) {
        let cancel = Entry { cid: *cid, wants: Wants::Cancel };
        // A session that takes no more messages is about to end.
        self.shared.say(peer, &Message::of_entries(vec![cancel]));
    }

    fn expect_no_more(&self, cid: &Cid) {
        let mut expected = self.shared.expected.lock();
        if let Some(waiting) = expected.get_mut(cid) {
            waiting.retain(|sender| !sender.same_channel(&self.sender));
            if waiting.is_empty() {
                expected.remove(cid);
            }
        }
    }
}

/// Whatever is still open when a fetch ends is cancelled at the peers.
impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        for (cid, asked) in &self.asked {
            self.expect_no_more(cid);
            self.cancel(cid, &asked.peer);
        }
    }
}
