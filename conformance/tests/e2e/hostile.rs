//! Peers that are no workers, on real sockets.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{Config, Connection, Event, Role};

use crate::process::{Process, wait_for};
use crate::scene::{SOON, Scene};
use crate::serve::{finish, serve, worker};

/// The router's timer for handshakes.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// What a router says first, if it says anything: `docs/PROTOCOL.md`, section 3.
fn preface() -> Vec<u8> {
    let document = include_str!("../../../docs/PROTOCOL.md");
    let line = document.lines().find(|line| line.contains("```hex Preface")).map(|_| ());
    assert!(line.is_some(), "the specification shows the preface");
    let hex =
        document.split("```hex Preface").nth(1).and_then(|rest| rest.lines().nth(1)).expect("its bytes");
    let bytes = hex.split(';').next().unwrap_or_default().split_whitespace();
    bytes.map(|byte| u8::from_str_radix(byte, 16).expect("a byte")).collect()
}

/// Reads to the end of the stream.
fn answer(stream: &mut (impl Read + ?Sized)) -> Vec<u8> {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    // A reset is an end, too.
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..count]);
    }
    answer
}

/// Sends bytes and waits for the end; returns the answer and how long it took.
fn send(address: &str, bytes: &[u8], hang_up: bool) -> (Vec<u8>, Duration) {
    let start = Instant::now();
    let answer = if let Some(path) = address.strip_prefix("unix:") {
        let mut stream = UnixStream::connect(path).expect("a connection");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        // It may be refused before all of it is sent.
        let _ = stream.write_all(bytes);
        if hang_up {
            let _ = stream.shutdown(Shutdown::Write);
        }
        answer(&mut stream)
    } else {
        let mut stream = TcpStream::connect(&address["tcp:".len()..]).expect("a connection");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        let _ = stream.write_all(bytes);
        if hang_up {
            let _ = stream.shutdown(Shutdown::Write);
        }
        answer(&mut stream)
    };
    (answer, start.elapsed())
}

fn strangers() -> Vec<(&'static str, Vec<u8>)> {
    // The beginning of a TLS 1.3 ClientHello, with the length of its record.
    let mut client_hello = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    client_hello.resize(517, 0xa5);
    let mut garbage: Vec<u8> = Vec::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    garbage.resize_with(100_000, || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    });
    vec![
        ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("TLS", client_hello),
        ("garbage", garbage),
        ("zeros", vec![0; 50_000]),
        ("a text", b"hello?\n\n\n\n".to_vec()),
    ]
}

#[test]
fn strangers_are_shown_out_at_once_and_workers_are_still_let_in() {
    let scene = Scene::new();
    for listen in [format!("unix:{}", scene.path("router.sock").display()), "tcp:127.0.0.1:0".to_owned()] {
        let (nova, address) = serve(&scene, &listen);
        for (name, bytes) in strangers() {
            let (answer, took) = send(&address, &bytes, false);
            assert_eq!(answer, b"", "{name}: only those who speak the protocol are answered");
            assert!(took < HANDSHAKE, "{name}: {took:?}");
        }
        // The right first words, and then nonsense: refused in the protocol's own words.
        for tail in [&[0xff; 64][..], &[0; 64], b"GET / HTTP/1.1\r\n\r\n"] {
            let (answer, took) = send(&address, &[&preface(), tail].concat(), false);
            assert!(answer.starts_with(&preface()) && answer.len() > 8, "{answer:?}");
            assert!(took < HANDSHAKE, "{took:?}");
        }
        // Those who leave early.
        for bytes in [&b""[..], b"n", &preface()] {
            let (_, took) = send(&address, bytes, true);
            assert!(took < HANDSHAKE, "{bytes:?}: {took:?}");
        }
        let worker = Process::start(&mut worker(&scene, &address, "0-3"));
        nova.stderr_has("4 of 4 shards ready", SOON);
        let ended = finish(nova);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        worker.end(SOON).expect(0);
    }
}

#[test]
fn half_a_hello_is_not_waited_for_for_long_and_keeps_nobody_out() {
    let scene = Scene::new();
    let socket = scene.path("router.sock");
    let (nova, address) = serve(&scene, &format!("unix:{}", socket.display()));
    let start = Instant::now();
    let mut silent: Vec<UnixStream> = (0..200)
        .map(|number| {
            let mut stream = UnixStream::connect(&socket).expect("a connection");
            stream.set_read_timeout(Some(SOON)).expect("a timeout");
            // Nothing at all, a part of the first words, or these and a part of a hello.
            let hello = [&preface()[..], &[0x40, 0, 0, 0, 1]].concat();
            stream.write_all(&hello[..number % (hello.len() + 1)]).expect("room for a few bytes");
            stream
        })
        .collect();
    let worker = Process::start(&mut worker(&scene, &address, "0-3"));
    nova.stderr_has("4 of 4 shards ready", SOON);
    assert!(start.elapsed() < HANDSHAKE, "a worker does not wait for the idle: {:?}", start.elapsed());
    let hello_len = preface().len() + 5;
    for (number, stream) in silent.iter_mut().enumerate() {
        // Who has said the first words is told why this is the end; who has not may not even understand.
        let answer = answer(stream);
        let knows_us = number % (hello_len + 1) >= preface().len();
        assert!(if knows_us { answer.starts_with(&preface()) } else { answer.is_empty() }, "{answer:?}");
    }
    let took = start.elapsed();
    assert!(took > HANDSHAKE - Duration::from_secs(1) && took < HANDSHAKE * 3, "{took:?}");
    let ended = finish(nova);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    worker.end(SOON).expect(0);
}

#[test]
fn idle_connections_do_not_delay_the_end() {
    let scene = Scene::new();
    let socket = scene.path("router.sock");
    let (nova, _) = serve(&scene, &format!("unix:{}", socket.display()));
    let _idle: Vec<_> = (0..20).map(|_| UnixStream::connect(&socket).expect("a connection")).collect();
    let start = Instant::now();
    finish(nova);
    assert!(start.elapsed() < HANDSHAKE, "{:?}", start.elapsed());
    assert!(!socket.exists());
}

/// Runs a worker against something that is no router; returns what it said.
fn mislead(exit: i32, router: impl FnOnce(UnixStream) + Send) -> String {
    let scene = Scene::new();
    let socket = scene.path("router.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    listener.set_nonblocking(true).expect("a socket's mode");
    thread::scope(|threads| {
        let (done, over) = mpsc::channel::<()>();
        threads.spawn(move || {
            router(wait_for("the worker connects", SOON, || listener.accept().ok()).0);
            // Until the worker has ended, however this test does.
            let _ = over.recv();
        });
        let worker = Process::start(&mut worker(&scene, &format!("unix:{}", socket.display()), "0"));
        let ended = worker.end(SOON).expect(exit);
        drop(done);
        ended.stderr
    })
}

#[test]
fn a_worker_tells_what_is_wrong_with_its_router() {
    let http = mislead(1, |mut stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("room"));
    assert!(http.contains("the peer speaks HTTP"), "{http}");
    let gone = mislead(1, drop);
    assert!(gone.contains("the peer went away"), "{gone}");
    let noise = mislead(1, |mut stream| stream.write_all(&[0x5a; 4096]).expect("room"));
    assert!(noise.contains("protocol error"), "{noise}");
    let nonsense =
        mislead(1, |mut stream| stream.write_all(&[&preface()[..], &[0xff; 64]].concat()).expect("room"));
    assert!(nonsense.contains("protocol error"), "{nonsense}");
    let welcome = mislead(1, welcome_with_nonsense);
    assert!(welcome.contains("the router's welcome does not decode"), "{welcome}");
}

/// A router as the protocol wants it, whose own part of the Welcome is none.
fn welcome_with_nonsense(mut stream: UnixStream) {
    let now = Instant::now();
    let mut router = Connection::new(Config::new(Role::Router), now).expect("the defaults");
    let mut buffer = [0; 4096];
    while router.agreed().is_none() {
        let count = stream.read(&mut buffer).expect("a Hello");
        router.receive(&buffer[..count], now);
        if let Some(Event::Hello { .. }) = router.poll_event() {
            router.accept(Bytes::from_static(&[0xff])).expect("it waits for this");
        }
    }
    let mut out = Vec::new();
    assert!(router.poll_transmit(&mut out, 1 << 16) > 0);
    stream.write_all(&out).expect("room");
}

#[test]
fn a_worker_does_not_wait_for_a_silent_router() {
    let start = Instant::now();
    // The stream is held, and nothing is said.
    let mut held = None;
    let silence = mislead(6, |stream| held = Some(stream));
    assert!(silence.contains("HANDSHAKE_TIMEOUT"), "{silence}");
    assert!(start.elapsed() < HANDSHAKE * 4, "{:?}", start.elapsed());
}
