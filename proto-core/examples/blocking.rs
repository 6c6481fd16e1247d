//! A connection on a blocking socket, with threads instead of a runtime: one reads, one writes, one keeps the time.
//!
//! ```text
//! cargo run -p nova-proto-core --example blocking
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "a driver stands outside the core: it brings what the core must not have"
)]

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use nova_proto_core::{
    Body, Call, CallError, CallKey, CloseCode, CloseReason, Config, ConfigError, Connection, Event, Role,
    SendError,
};

const READ_SIZE: usize = 64 * 1024;
const WRITE_AHEAD: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);

type Answer = Result<Body, CallError>;

/// A connection that threads share.
pub(crate) struct Link {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    connection: Connection,
    calls: HashMap<CallKey, Sender<Answer>>,
    events: Sender<Event>,
    /// Directions of the socket that are not at their end.
    directions: u8,
}

impl Link {
    /// A connection to [`run`](Self::run). Its events come out of the receiver, except answers to calls.
    pub(crate) fn new(config: Config) -> Result<(Self, Receiver<Event>), ConfigError> {
        let connection = Connection::new(config, Instant::now())?;
        let (events, receiver) = channel();
        let state = State { connection, calls: HashMap::new(), events, directions: 2 };
        Ok((Self { state: Mutex::new(state), changed: Condvar::new() }, receiver))
    }

    /// Gives an input or a command, and hands out what follows from it.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Connection) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state.connection);
        self.hand_out(&mut state);
        result
    }

    /// Makes a call; its answer comes out of the receiver.
    pub(crate) fn call(&self, call: Call) -> Result<(CallKey, Receiver<Answer>), SendError> {
        let (sender, answer) = channel();
        let mut state = self.lock();
        let key = state.connection.call(call, Instant::now())?;
        state.calls.insert(key, sender);
        self.hand_out(&mut state);
        Ok((key, answer))
    }

    /// Gives a call up: no answer comes out.
    pub(crate) fn cancel(&self, key: CallKey) {
        let mut state = self.lock();
        state.calls.remove(&key);
        state.connection.cancel(key);
        self.hand_out(&mut state);
    }

    /// Moves bytes and time until the connection has ended and the socket can be dropped.
    pub(crate) fn run(
        &self,
        reader: impl Read + Send,
        writer: impl Write + Send,
        shutdown: impl Fn(Shutdown) -> io::Result<()> + Sync,
    ) -> CloseReason {
        thread::scope(|threads| {
            threads.spawn(|| self.read(reader));
            threads.spawn(|| self.write(writer, &shutdown));
            self.keep_time(&shutdown)
        })
    }

    /// Reads whatever the writer does. After the connection's end the core ignores what still comes.
    fn read(&self, mut reader: impl Read) {
        let mut buffer = vec![0; READ_SIZE];
        loop {
            let refuses =
                |state: &mut State| !state.connection.wants_input() && !state.connection.is_closed();
            drop(self.changed.wait_while(self.lock(), refuses));
            match reader.read(&mut buffer) {
                Ok(count @ 1..) => {
                    self.with(|connection| connection.receive(&buffer[..count], Instant::now()));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        self.with(Connection::receive_eof);
        self.direction_ended();
    }

    /// Writes what there is, and ends the direction behind the last frame.
    fn write(&self, mut writer: impl Write, shutdown: impl Fn(Shutdown) -> io::Result<()>) {
        let mut output = Vec::new();
        let mut broken = false;
        while !broken && self.next_output(&mut output) {
            let mut rest = &output[..];
            while !broken && !rest.is_empty() {
                match writer.write(rest) {
                    Ok(count @ 1..) => {
                        rest = &rest[count..];
                        self.with(|connection| connection.wrote(Instant::now()));
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => broken = true,
                }
            }
        }
        drop(writer);
        // Who takes no more has gone, or is about to: what it said before is still read, up to its end.
        let _ = shutdown(if broken { Shutdown::Read } else { Shutdown::Write });
        self.direction_ended();
    }

    /// Waits for bytes to send. `false` once the last frame is out.
    fn next_output(&self, output: &mut Vec<u8>) -> bool {
        output.clear();
        let mut state = self.lock();
        loop {
            let ended = state.connection.is_closed();
            if state.connection.poll_transmit(output, WRITE_AHEAD) > 0 {
                // What goes out can be an end, too.
                self.hand_out(&mut state);
                return true;
            }
            if ended {
                return false;
            }
            state = self.changed.wait(state).expect("no panic under the lock");
        }
    }

    /// Tells the connection when time has passed. After its end waits for the peer to hang up, but not for long.
    fn keep_time(&self, shutdown: impl Fn(Shutdown) -> io::Result<()>) -> CloseReason {
        let mut state = self.lock();
        while !state.connection.is_closed() {
            let now = Instant::now();
            let wait = state.connection.poll_timeout().map_or(LINGER, |at| at.saturating_duration_since(now));
            if wait.is_zero() {
                state.connection.handle_timeout(now);
                self.hand_out(&mut state);
            } else {
                state = self.changed.wait_timeout(state, wait).expect("no panic under the lock").0;
            }
        }
        let reason = state.connection.close_reason().cloned().expect("it is closed");
        drop(self.changed.wait_timeout_while(state, LINGER, |state| state.directions > 0));
        let _ = shutdown(Shutdown::Both);
        reason
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }

    /// Pulls all events and lets the threads look again. Whoever does not wait for an event any more misses it.
    fn hand_out(&self, state: &mut State) {
        while let Some(event) = state.connection.poll_event() {
            match event {
                Event::Answer { key, result } => {
                    let _ = state.calls.remove(&key).map(|caller| caller.send(result));
                }
                event => drop(state.events.send(event)),
            }
        }
        self.changed.notify_all();
    }

    fn direction_ended(&self) {
        self.lock().directions -= 1;
        self.changed.notify_all();
    }
}

/// Lets the worker in and echoes, until the connection ends.
fn echo(link: &Link, events: Receiver<Event>) {
    for event in events {
        let done = match event {
            Event::Hello { .. } => link.with(|connection| connection.accept("welcome".into())),
            Event::Request(request) => link.with(|connection| connection.respond(request.id, request.body)),
            Event::Closed(_) => return,
            _ => Ok(()),
        };
        if let Err(error) = done {
            println!("not done: {error}");
        }
    }
}

/// As a worker: two calls, of which one is not wanted after all, then the end.
fn ask(link: &Link, events: &Receiver<Event>) -> Result<(), Box<dyn Error>> {
    let connected = events.recv()?;
    assert!(matches!(connected, Event::Connected { .. }), "{connected:?}");
    let (unwanted, _) = link.call(Call::new(7, "never mind"))?;
    link.cancel(unwanted);
    let (_, answer) = link.call(Call::new(7, "ping"))?;
    assert_eq!(answer.recv()??, Body::from("ping"));
    link.with(|connection| connection.close(CloseCode::NORMAL, "done"));
    Ok(())
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    for socket in [&near, &far] {
        socket.set_nodelay(true)?;
    }
    talk(
        |worker| worker.run(&near, &near, |how| near.shutdown(how)),
        |router| router.run(&far, &far, |how| far.shutdown(how)),
    )?;
    let (near, far) = UnixStream::pair()?;
    talk(
        |worker| worker.run(&near, &near, |how| near.shutdown(how)),
        |router| router.run(&far, &far, |how| far.shutdown(how)),
    )
}

/// A worker and a router, each driven as its argument says.
fn talk(
    run_worker: impl FnOnce(&Link) -> CloseReason + Send,
    run_router: impl FnOnce(&Link) -> CloseReason + Send,
) -> Result<(), Box<dyn Error>> {
    let (worker, worker_events) = Link::new(Config::new(Role::Worker))?;
    let (router, router_events) = Link::new(Config::new(Role::Router))?;
    thread::scope(|threads| {
        let worker_end = threads.spawn(|| run_worker(&worker));
        let router_end = threads.spawn(|| run_router(&router));
        threads.spawn(|| echo(&router, router_events));
        ask(&worker, &worker_events)?;
        println!("worker: {}", worker_end.join().expect("no panic"));
        println!("router: {}", router_end.join().expect("no panic"));
        Ok(())
    })
}
