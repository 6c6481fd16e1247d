//! Writes the seeds of every target: `cargo run --example seeds -- DIRECTORY`.
#![allow(clippy::disallowed_methods, reason = "a tool of the tests")]

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::args_os().nth(1).unwrap_or_else(|| "target/seeds".into()));
    for (target, seeds) in nova_proto_core_fuzz::seeds() {
        let directory = root.join(target);
        fs::create_dir_all(&directory)?;
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(directory.join(format!("seed-{number:03}")), seed)?;
        }
        println!("{:4} seeds of {target}", seeds.len());
    }
    Ok(())
}
