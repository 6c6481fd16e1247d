//! The same work as calls.

use std::future::{Ready, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{Call, Config, Role};
use nova_transport_tokio::{Address, Admission, Application, Handle, Incoming, Listener, connect_with};
use tokio::task::JoinSet;

use crate::{Error, LARGE, Tls, pattern, small};

/// How much of an answer is compared before others have their turn.
const STEP: usize = 64 * 1024;

struct Echo;

impl Application for Echo {
    type Handler = Ready<()>;

    fn admit(&mut self, _hello: Bytes) -> Admission {
        Admission::Accept(Bytes::new())
    }

    fn request(&mut self, mut request: Incoming) -> Ready<()> {
        let body = std::mem::take(&mut request.body.bytes);
        request.respond(body);
        ready(())
    }
}

/// The defaults, but for bodies and numbers of calls that are beyond them.
fn config(role: Role) -> Config {
    let mut config = Config::new(role);
    let largest = LARGE.into_iter().max().unwrap_or(0) as u32;
    config.limits.max_body = largest;
    config.limits.work_budget = 8 * u64::from(largest);
    config.limits.max_concurrent = 1024;
    config
}

pub(crate) async fn serve(address: &Address, tls: &Tls) -> Result<(), Error> {
    let mut listener = Listener::bind_with(address, &tls.to_listen).await?;
    println!("{}", listener.address());
    loop {
        let (handle, driver) = listener.accept().await.drive(config(Role::Router), Echo)?;
        tokio::spawn(async move {
            driver.await;
            drop(handle);
        });
    }
}

async fn open(address: &Address, tls: &Tls) -> Result<Handle, Error> {
    let stream = connect_with(address, &tls.to_connect).await?;
    let (handle, driver) = stream.drive(config(Role::Worker), Echo)?;
    tokio::spawn(driver);
    handle.connected().await?;
    Ok(handle)
}

/// One echo of a large body, verified.
async fn echo(handle: &Handle, body: Bytes) -> Result<(), String> {
    let reply_max = u32::try_from(body.len()).map_err(|error| error.to_string())?;
    let call = Call { reply_max, ..Call::new(1, body.clone()) };
    let answer = handle.call(call).map_err(|error| error.to_string())?.await;
    let answer = answer.map_err(|error| error.to_string())?.bytes;
    // In steps: who looks at 64 MiB at once holds up everybody else on its thread for as long.
    let mut same = answer.len() == body.len();
    for (there, here) in answer.chunks(STEP).zip(body.chunks(STEP)) {
        same &= there == here;
        tokio::task::yield_now().await;
    }
    if same { Ok(()) } else { Err("a wrong answer".to_owned()) }
}

async fn echo_small(handle: &Handle, number: u64) -> Result<(), String> {
    let body = small(number);
    let answer =
        handle.call(Call::new(1, Bytes::copy_from_slice(&body))).map_err(|error| error.to_string())?.await;
    match answer {
        Ok(answer) if answer.bytes == body[..] => Ok(()),
        Ok(_) => Err("a wrong answer".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// How many echoes of 64 bytes a second, from so many tasks.
pub(crate) async fn echoes(
    address: &Address,
    tls: &Tls,
    in_flight: usize,
    span: Duration,
) -> Result<f64, Error> {
    let handle = open(address, tls).await?;
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for task in 0..in_flight as u64 {
        let handle = handle.clone();
        tasks.spawn(async move {
            let mut count = 0;
            while start.elapsed() < span {
                echo_small(&handle, task << 40 | count).await?;
                count += 1;
            }
            Ok::<_, String>(count)
        });
    }
    let mut count = 0;
    while let Some(task) = tasks.join_next().await {
        count += task??;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// How many MiB a second go there and come back as large bodies, one after the other.
pub(crate) async fn large(address: &Address, tls: &Tls, length: usize, span: Duration) -> Result<f64, Error> {
    let handle = open(address, tls).await?;
    let body = Bytes::from(pattern(length));
    echo(&handle, body.clone()).await?;
    let (start, mut count) = (Instant::now(), 0);
    while count < 1 || start.elapsed() < span {
        echo(&handle, body.clone()).await?;
        count += 1;
    }
    Ok(f64::from(count) * (length >> 20) as f64 / start.elapsed().as_secs_f64())
}

/// What small calls and large bodies make of each other on one connection.
pub(crate) struct Beside {
    /// Of a small call, in µs.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// MiB a second of large bodies.
    pub(crate) large: f64,
}

/// Small calls, one after the other, while two large bodies are always under way.
pub(crate) async fn beside_large(
    address: &Address,
    tls: &Tls,
    length: usize,
    span: Duration,
) -> Result<Beside, Error> {
    let handle = open(address, tls).await?;
    let body = Bytes::from(pattern(length));
    let start = Instant::now();
    let mut large = JoinSet::new();
    for _ in 0..2 {
        let (handle, body) = (handle.clone(), body.clone());
        large.spawn(async move {
            let mut count = 0;
            while start.elapsed() < span {
                echo(&handle, body.clone()).await?;
                count += 1;
            }
            Ok::<_, String>(count)
        });
    }
    let mut times = Vec::new();
    while start.elapsed() < span {
        let asked = Instant::now();
        echo_small(&handle, times.len() as u64).await?;
        times.push(asked.elapsed());
    }
    let mut count = 0;
    while let Some(task) = large.join_next().await {
        count += task??;
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    let large = f64::from(count) * (length >> 20) as f64 / start.elapsed().as_secs_f64();
    Ok(Beside { p50: at(50), p99: at(99), large })
}
