//! The same scenarios over every pair of runtimes and every transport. `NOVA_SCENARIOS=long` makes large bodies 64 MiB.

mod accept;
mod cell;
mod child;
mod ends;
mod examples;
mod middle;
mod peer;
mod pipe;
mod scenarios;
mod service;

#[path = "../../../proto-core/examples/blocking.rs"]
mod blocking;
#[path = "../../../proto-core/examples/pipe.rs"]
mod pipe_example;
#[path = "../../../proto-core/driver/examples/smol.rs"]
mod smol_driver;

use cell::Transport::{Tcp, Tls, Unix};
use cell::{Cell, through_a_pipe_of_64_bytes};
use ends::{with_async_std, with_smol, with_threads, with_tokio};

macro_rules! cells {
    ($($name:ident: $worker:ident, $router:ident, $transport:ident;)*) => {
        $(#[test]
        fn $name() {
            Cell { worker: $worker::connect, router: $router::listen, transport: $transport }.run(stringify!($name));
        })*
    };
}

// Worker, router, transport.
cells! {
    tokio_to_tokio_over_unix: with_tokio, with_tokio, Unix;
    tokio_to_tokio_over_tcp: with_tokio, with_tokio, Tcp;
    tokio_to_tokio_over_tls: with_tokio, with_tokio, Tls;
    tokio_to_async_std_over_unix: with_tokio, with_async_std, Unix;
    tokio_to_async_std_over_tcp: with_tokio, with_async_std, Tcp;
    tokio_to_async_std_over_tls: with_tokio, with_async_std, Tls;
    async_std_to_tokio_over_unix: with_async_std, with_tokio, Unix;
    async_std_to_tokio_over_tcp: with_async_std, with_tokio, Tcp;
    async_std_to_tokio_over_tls: with_async_std, with_tokio, Tls;
    async_std_to_async_std_over_unix: with_async_std, with_async_std, Unix;
    async_std_to_async_std_over_tcp: with_async_std, with_async_std, Tcp;
    async_std_to_async_std_over_tls: with_async_std, with_async_std, Tls;
    smol_to_tokio_over_unix: with_smol, with_tokio, Unix;
    smol_to_tokio_over_tcp: with_smol, with_tokio, Tcp;
    smol_to_tokio_over_tls: with_smol, with_tokio, Tls;
    smol_to_async_std_over_unix: with_smol, with_async_std, Unix;
    smol_to_async_std_over_tcp: with_smol, with_async_std, Tcp;
    smol_to_async_std_over_tls: with_smol, with_async_std, Tls;
    blocking_to_tokio_over_unix: with_threads, with_tokio, Unix;
    blocking_to_tokio_over_tcp: with_threads, with_tokio, Tcp;
    blocking_to_async_std_over_unix: with_threads, with_async_std, Unix;
    blocking_to_async_std_over_tcp: with_threads, with_async_std, Tcp;
}

macro_rules! pipes {
    ($($name:ident: $worker:ident, $router:ident;)*) => {
        $(#[test]
        fn $name() {
            through_a_pipe_of_64_bytes(stringify!($name), $worker::over_pipe, $router::over_pipe);
        })*
    };
}

pipes! {
    tokio_to_tokio_through_a_pipe_of_64_bytes: with_tokio, with_tokio;
    tokio_to_async_std_through_a_pipe_of_64_bytes: with_tokio, with_async_std;
    async_std_to_tokio_through_a_pipe_of_64_bytes: with_async_std, with_tokio;
    async_std_to_async_std_through_a_pipe_of_64_bytes: with_async_std, with_async_std;
    smol_to_tokio_through_a_pipe_of_64_bytes: with_smol, with_tokio;
    smol_to_async_std_through_a_pipe_of_64_bytes: with_smol, with_async_std;
    blocking_to_tokio_through_a_pipe_of_64_bytes: with_threads, with_tokio;
    blocking_to_async_std_through_a_pipe_of_64_bytes: with_threads, with_async_std;
}
