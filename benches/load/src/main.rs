//! `ferrows-load`: the load client of the benches.
//!
//! ```text
//! ferrows-load echo      --url ws://127.0.0.1:9001/   [--connections 64] [--in-flight 1] [--size 20] [--text|--binary]
//!                        [--deflate] [--ping]
//! ferrows-load http      --url http://127.0.0.1:9001/ [--connections 64] [--path /] [--body BYTES] [--fields COUNT]
//!                        both: [--warm-up 1] [--seconds 3] [--nap MICROSECONDS] [--think MICROSECONDS] [--gate]
//! ferrows-load http3     --url https://127.0.0.1:9001/ [--connections 8] [--in-flight 1] [--path /] [--warm-up 1] [--seconds 3]
//!                        [--longest-datagram 1472] [--gate]
//! ferrows-load idle-http3 --url https://127.0.0.1:9001/ [--connections 1000]
//! ferrows-load idle      --url ws://127.0.0.1:9001/   [--connections 10000]
//! ferrows-load subscribe --url ws://127.0.0.1:9001/   [--connections 1000] [--count MESSAGES] [--seconds SECONDS]
//! ferrows-load handshake --url https://127.0.0.1:9001/ [--connections 4] [--resume] [--warm-up 1] [--seconds 3] [--gate]
//! ferrows-load flood     --url ws://127.0.0.1:9001/flood [--size 20] [--warm-up 1] [--seconds 3] [--patience 15]
//! ferrows-load bare      serves instead: the minimal cost of an HTTP server on this machine
//! ```
//! With `wss://` and `https://` all of it goes over TLS.
//!
//! One thread and one epoll instance; in the closed loops one read and one write per wake-up of a connection, so
//! that on a machine with few cores the server is what is measured. Every line on stdout is one JSON object with an
//! `event`; a server that misbehaves ends the run with a sentence on stderr and exit code 1, wrong usage with 2.

use std::process::ExitCode;

mod bare;
mod closed_loop;
mod connect;
mod deflate;
mod flood;
mod frame;
mod handshake;
mod histogram;
mod http;
mod http3;
mod options;
mod receive;
mod report;
mod stream;

use options::{Command, Options};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("ferrows-load: {message}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("ferrows-load: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    match options.command {
        Command::Echo => closed_loop::echo(options),
        Command::Http => closed_loop::http(options),
        Command::Http3 => http3::run(options),
        Command::IdleHttp3 => http3::idle(options),
        Command::Handshake => handshake::run(options),
        Command::Flood => flood::run(options),
        Command::Bare => bare::run(),
        Command::Idle | Command::Subscribe => receive::run(options),
    }
}
