//! What goes over loopback: every packet of chosen TCP ports, searched as it passes.

use super::search::Search;
use nix::{
    errno::Errno,
    sys::{
        socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt},
        time::TimeVal,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{ErrorKind, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

const BUFFER_BYTES: usize = 64 << 20;
/// A frame on loopback is at most 64 KiB and its headers.
const FRAME_BYTES_MAX: usize = 1 << 17;
/// The most connections whose ends are remembered.
const CONNECTIONS_MAX: usize = 10_000;

/// What passed.
#[derive(Default)]
pub(super) struct Captured {
    /// Bytes of payload by the listening port.
    pub(super) bytes: BTreeMap<u16, u64>,
    /// What was found, with the port.
    pub(super) found: BTreeSet<String>,
}

/// A running capture.
pub(super) struct Capture {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Captured>,
}

impl Capture {
    /// Begins to read the packets of `ports`. Nothing where the system does not permit it: it takes CAP_NET_RAW.
    pub(super) fn begin(ports: BTreeSet<u16>, search: Search) -> Option<Self> {
        let protocol = SockProtocol::EthAll;
        let socket = match socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol) {
            Ok(socket) => socket,
            Err(Errno::EPERM | Errno::EACCES) => return None,
            Err(error) => panic!("open a packet socket: {error}"),
        };
        // A large buffer loses no packet while the machine is busy; without the right to it, a smaller one must do.
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_BYTES);
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(0, 100_000)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let reader = Reader { ports, search, connections: BTreeMap::new(), captured: Captured::default() };
        let thread = thread::spawn(move || reader.read(File::from(socket), &stopping));
        Some(Self { stop, thread })
    }

    /// Ends when what is waiting has been read.
    pub(super) fn end(self) -> Captured {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// One direction of a connection.
#[derive(Default)]
struct Direction {
    /// The sequence number after the last byte that was seen.
    next: Option<u32>,
    /// The last bytes, since an identifier may lie across two packets.
    tail: Vec<u8>,
}

struct Reader {
    ports: BTreeSet<u16>,
    search: Search,
    connections: BTreeMap<(u16, u16), Direction>,
    captured: Captured,
}

impl Reader {
    fn read(mut self, mut socket: File, stopping: &AtomicBool) -> Captured {
        let mut frame = vec![0; FRAME_BYTES_MAX];
        loop {
            match socket.read(&mut frame) {
                Ok(length) => self.take(&frame[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    if stopping.load(Ordering::Relaxed) {
                        return self.captured;
                    }
                }
                Err(error) => panic!("read packets: {error}"),
            }
        }
    }

    fn take(&mut self, frame: &[u8]) {
        let Some(segment) = segment(frame) else { return };
        let Some(port) = [segment.to, segment.from].into_iter().find(|port| self.ports.contains(port)) else {
            return;
        };
        if self.connections.len() >= CONNECTIONS_MAX {
            self.connections.clear();
        }
        let direction = self.connections.entry((segment.from, segment.to)).or_default();
        if segment.begins {
            *direction = Direction::default();
        }
        let end = segment.sequence.wrapping_add(u32::try_from(segment.payload.len()).unwrap());
        // Loopback shows each packet twice, as it goes out and as it comes in.
        let seen = direction.next.is_some_and(|next| next.wrapping_sub(end) < u32::MAX / 2);
        if seen || segment.payload.is_empty() {
            return;
        }
        direction.next = Some(end);
        direction.tail.extend_from_slice(segment.payload);
        let found = self.search.find(&direction.tail);
        self.captured.found.extend(found.into_iter().map(|one| format!("{one} at port {port}")));
        *self.captured.bytes.entry(port).or_default() += segment.payload.len() as u64;
        let past = direction.tail.len().saturating_sub(self.search.longest());
        direction.tail.drain(..past);
    }
}

struct Segment<'a> {
    from: u16,
    to: u16,
    sequence: u32,
    /// A SYN: the ports are of a new connection.
    begins: bool,
    payload: &'a [u8],
}

/// The TCP segment in an Ethernet frame with IPv4 (RFC 791, RFC 9293).
fn segment(frame: &[u8]) -> Option<Segment<'_>> {
    let (ethernet, packet) = frame.split_at_checked(14)?;
    if ethernet[12..] != [0x08, 0x00] || packet.len() < 20 || packet[9] != 6 {
        return None;
    }
    let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    // A length of nought stands for a packet that is larger than the field can say.
    let packet = if total == 0 { packet } else { packet.get(..total)? };
    let tcp = packet.get(usize::from(packet[0] & 0x0f) * 4..)?;
    if tcp.len() < 20 {
        return None;
    }
    Some(Segment {
        from: u16::from_be_bytes([tcp[0], tcp[1]]),
        to: u16::from_be_bytes([tcp[2], tcp[3]]),
        sequence: u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]),
        begins: tcp[13] & 0x02 != 0,
        payload: tcp.get(usize::from(tcp[12] >> 4) * 4..)?,
    })
}
