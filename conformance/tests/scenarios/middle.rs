//! What lies between two ends: it can be slow, stuck, half-closed or cut, on any transport.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nova_driver::Address;
use rustix::net::{Shutdown, shutdown, sockopt};

/// How often a thread that waits for bytes looks whether it is told something else.
const TICK: Duration = Duration::from_millis(2);

/// How much is carried at a time.
const PIECE: usize = 8 * 1024;

/// What it does with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// Carries everything on.
    Flow,
    /// A piece for each tick.
    Slow,
    /// Takes nothing.
    Stuck,
    /// Ends the router's input, and carries its output on.
    HalfClosed,
    /// Resets both sides.
    Cut,
}

const MODES: [Mode; 5] = [Mode::Flow, Mode::Slow, Mode::Stuck, Mode::HalfClosed, Mode::Cut];

/// Carries one connection's bytes between a worker and a router.
pub(crate) struct Middle {
    address: Address,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    mode: AtomicU8,
    /// Bytes that were carried to the router.
    carried: AtomicUsize,
    /// After how many of them everything is cut.
    cut_after: AtomicUsize,
}

impl Shared {
    fn mode(&self) -> Mode {
        MODES[usize::from(self.mode.load(Ordering::SeqCst))]
    }

    fn set(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::SeqCst);
    }
}

impl Middle {
    /// Takes one connection, at a free address of the same kind, and carries it to `router`.
    pub(crate) fn new(router: &Address, directory: &Path) -> Self {
        let shared = Arc::new(Shared {
            mode: AtomicU8::new(Mode::Flow as u8),
            carried: AtomicUsize::new(0),
            cut_after: AtomicUsize::new(usize::MAX),
        });
        let (address, carrying) = (router, Arc::clone(&shared));
        let router = router.clone();
        let (address, thread) = match address {
            Address::Unix(_) => {
                let path = directory.join("middle.sock");
                let listener = UnixListener::bind(&path).expect("bound");
                let thread = std::thread::spawn(move || {
                    let near = listener.accept().expect("accepted").0;
                    carry(near.into(), connect(&router), &carrying);
                });
                (Address::Unix(path), thread)
            }
            Address::Tcp { host, .. } | Address::Tls { host, .. } => {
                let host = host.clone();
                let listener = TcpListener::bind((host.as_str(), 0)).expect("bound");
                let port = listener.local_addr().expect("bound").port();
                let thread = std::thread::spawn(move || {
                    let near = listener.accept().expect("accepted").0;
                    near.set_nodelay(true).expect("set");
                    carry(near.into(), connect(&router), &carrying);
                });
                let is_tls = matches!(address, Address::Tls { .. });
                (if is_tls { Address::Tls { host, port } } else { Address::Tcp { host, port } }, thread)
            }
            Address::Pipe(_) => unreachable!("not a transport of this test"),
        };
        Self { address, shared, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> Address {
        self.address.clone()
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.shared.set(mode);
    }

    /// Resets both sides when so many more bytes were carried to the router.
    pub(crate) fn cut_after(&self, bytes: usize) {
        let carried = self.shared.carried.load(Ordering::SeqCst);
        self.shared.cut_after.store(carried + bytes, Ordering::SeqCst);
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        self.shared.set(Mode::Cut);
        let ended = self.thread.take().expect("it is dropped once").join();
        assert!(ended.is_ok() || std::thread::panicking(), "what is between panicked");
    }
}

fn connect(router: &Address) -> OwnedFd {
    match router {
        Address::Unix(path) => UnixStream::connect(path).expect("connected").into(),
        Address::Tcp { host, port } | Address::Tls { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).expect("connected");
            stream.set_nodelay(true).expect("set");
            stream.into()
        }
        Address::Pipe(_) => unreachable!("not a transport of this test"),
    }
}

/// Carries both ways until both have ended; the sockets are closed then.
fn carry(near: OwnedFd, far: OwnedFd, shared: &Shared) {
    for socket in [&near, &far] {
        sockopt::set_socket_timeout(socket, sockopt::Timeout::Recv, Some(TICK)).expect("set");
        sockopt::set_socket_timeout(socket, sockopt::Timeout::Send, Some(TICK)).expect("set");
    }
    let (near, far) = (File::from(near), File::from(far));
    std::thread::scope(|threads| {
        threads.spawn(|| carry_one_way(&near, &far, shared, true));
        threads.spawn(|| carry_one_way(&far, &near, shared, false));
    });
    // Of a TCP socket this makes a reset; a Unix socket resets if there is something unread.
    if shared.mode() == Mode::Cut {
        for socket in [&near, &far] {
            sockopt::set_socket_linger(socket, Some(Duration::ZERO)).expect("set");
        }
    }
}

fn carry_one_way(mut from: &File, mut to: &File, shared: &Shared, to_router: bool) {
    let mut piece = [0; PIECE];
    loop {
        match shared.mode() {
            Mode::Stuck => {
                std::thread::sleep(TICK);
                continue;
            }
            Mode::Cut => return,
            Mode::HalfClosed if to_router => break,
            Mode::Slow => std::thread::sleep(TICK),
            Mode::Flow | Mode::HalfClosed => {}
        }
        let left = if to_router { shared.cut_after.load(Ordering::SeqCst) } else { usize::MAX };
        let left = left.saturating_sub(shared.carried.load(Ordering::SeqCst));
        let most = if to_router { left.min(PIECE) } else { PIECE };
        if most == 0 {
            shared.set(Mode::Cut);
            return;
        }
        let count = match from.read(&mut piece[..most]) {
            Ok(count @ 1..) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Ok(0) | Err(_) => break,
        };
        let mut rest = &piece[..count];
        while !rest.is_empty() {
            match to.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock && shared.mode() != Mode::Cut => {}
                Err(_) => return,
            }
        }
        if to_router {
            shared.carried.fetch_add(count, Ordering::SeqCst);
        }
    }
    let _ = shutdown(to, Shutdown::Write);
}
