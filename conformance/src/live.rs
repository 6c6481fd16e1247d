//! A router or a worker at the other end of a socket. Only its bytes can be seen, and time is real.

use std::future::pending;
use std::io;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nova_transport_tokio::{Address, ConnectOptions, Listener, Stream, connect_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use crate::subject::{Answer, Application, By, End, Op, Subject, Trouble};

/// How long something may take to come; only a subject that fails makes the runner wait so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a process is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How much is read at once.
const READ: usize = 64 * 1024;

/// A subject over sockets: a new connection for each case.
#[derive(Debug)]
pub struct Live {
    runtime: Runtime,
    way: Way,
    stream: Option<Stream>,
    /// The program started for this connection.
    child: Option<Child>,
}

/// How to reach it.
#[derive(Debug)]
enum Way {
    /// The subject is a router.
    Connect(Address, Box<ConnectOptions>),
    /// The subject is a worker; this command starts one for each connection.
    Listen(Box<Listener>, Option<String>),
}

impl Live {
    /// A router that listens there.
    ///
    /// # Errors
    /// If the runtime does not start.
    pub fn router(address: Address, options: ConnectOptions) -> io::Result<Self> {
        Ok(Self {
            runtime: runtime()?,
            way: Way::Connect(address, Box::new(options)),
            stream: None,
            child: None,
        })
    }

    /// Workers that connect here. A shell starts `command` for each case, with `{address}` replaced; without one they must
    /// come by themselves.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn worker(
        address: &Address,
        options: &nova_transport_tokio::ListenOptions,
        command: Option<String>,
    ) -> io::Result<Self> {
        let runtime = runtime()?;
        let listener = runtime.block_on(Listener::bind_with(address, options))?;
        Ok(Self { runtime, way: Way::Listen(Box::new(listener), command), stream: None, child: None })
    }

    /// Tries whether a router is there.
    ///
    /// # Errors
    /// If it is not.
    pub fn reach(&mut self) -> io::Result<()> {
        if let Way::Connect(address, options) = &self.way {
            drop(self.runtime.block_on(connect_with(address, options))?);
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), Trouble> {
        self.hang_up();
        let opened = match &mut self.way {
            Way::Connect(address, options) => self.runtime.block_on(connect_with(address, options)),
            Way::Listen(listener, command) => {
                if let Some(command) = command {
                    let address = listener.address().to_string();
                    self.child =
                        Some(spawn(&command.replace("{address}", &address)).map_err(|error| broken(&error))?);
                }
                self.runtime.block_on(comes(listener, self.child.as_mut()))
            }
        };
        self.stream = Some(opened.map_err(|error| broken(&error))?);
        Ok(())
    }

    /// Ends the connection, and waits until the other side has: what it held for this case is free then.
    fn hang_up(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            self.runtime.block_on(async {
                let _ = stream.shutdown().await;
                let mut rest = [0; 4096];
                let drained = async { while let Ok(1..) = stream.read(&mut rest).await {} };
                let _ = timeout(PATIENCE, drained).await;
            });
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(stream) = &mut self.stream {
            // A subject that has ended the connection does not take all of it; what it has sent says how it went.
            let _ = self.runtime.block_on(async {
                timeout(PATIENCE, async {
                    stream.write_all(bytes).await?;
                    stream.flush().await
                })
                .await
            });
        }
    }
}

fn broken(error: &io::Error) -> Trouble {
    Trouble::Broken(error.to_string())
}

/// Starts a program, of which nothing is read.
fn spawn(command: &str) -> io::Result<Child> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec {command}"));
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// The next worker's connection, unless its process ends before.
async fn comes(listener: &mut Listener, child: Option<&mut Child>) -> io::Result<Stream> {
    let ended = async {
        let Some(child) = child else { return pending().await };
        loop {
            match child.try_wait() {
                Ok(None) => sleep(LOOK_AGAIN).await,
                Ok(Some(status)) => {
                    return io::Error::other(format!("the worker ended without connecting: {status}"));
                }
                Err(error) => return error,
            }
        }
    };
    tokio::select! {
        stream = listener.accept() => Ok(stream),
        error = ended => Err(error),
        () = sleep(PATIENCE) => Err(io::Error::new(io::ErrorKind::TimedOut, "no worker has connected")),
    }
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

impl Subject for Live {
    fn ask(&mut self, op: Op) -> Result<Answer, Trouble> {
        match op {
            Op::Start { application: Application::None, .. } => {
                return Err(Trouble::Unsupported("there is no connection in this case".to_owned()));
            }
            Op::Start { .. } => self.start()?,
            Op::Rx { bytes } => self.write(&bytes),
            Op::Eof => {
                if let Some(stream) = &mut self.stream {
                    let _ = self.runtime.block_on(stream.shutdown());
                }
            }
            _ => return Err(Trouble::Unsupported("a socket carries bytes only".to_owned())),
        }
        Ok(Answer::default())
    }

    fn more(&mut self, ended: bool) -> Option<Answer> {
        let stream = self.stream.as_mut().filter(|_| !ended)?;
        let mut buffer = vec![0; READ];
        let read = self.runtime.block_on(async { timeout(PATIENCE, stream.read(&mut buffer)).await }).ok()?;
        match read {
            Ok(count @ 1..) => {
                buffer.truncate(count);
                Some(Answer { tx: buffer, ..Answer::default() })
            }
            // A reset is an end, too.
            Ok(0) | Err(_) => {
                let end = End { code: None, by: By::Peer };
                Some(Answer { end: Some(end), ..Answer::default() })
            }
        }
    }

    fn bytes_only(&self) -> bool {
        true
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.hang_up();
    }
}
