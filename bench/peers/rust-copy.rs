// SPDX-License-Identifier: MIT
//! `rust-copy SOURCE SINK`: std::io::copy between two ends, as a Rust program would have it. The
//! standard library picks copy_file_range, sendfile or splice by the types it sees, so each pair of
//! types is a call of its own.
use std::fs::File;
use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::io::FromRawFd;
use std::os::unix::net::UnixStream;

enum End {
    File(File),
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Standard input and output as files: std has the same short cuts for them as for any file.
fn standard(number: i32) -> File {
    unsafe { File::from_raw_fd(number) }
}

fn accept_one(address: &str) -> io::Result<TcpStream> {
    let (stream, _) = TcpListener::bind(address)?.accept()?;
    Ok(stream)
}

fn open_socket(name: &str) -> Option<io::Result<End>> {
    let (scheme, rest) = name.split_once(':')?;
    match scheme {
        "tcp" => Some(TcpStream::connect(rest).map(End::Tcp)),
        "tcp-listen" => Some(accept_one(rest).map(End::Tcp)),
        "unix" => Some(UnixStream::connect(rest).map(End::Unix)),
        _ => None,
    }
}

fn open_source(name: &str) -> io::Result<End> {
    match name {
        "-" => Ok(End::File(standard(0))),
        _ => open_socket(name).unwrap_or_else(|| File::open(name).map(End::File)),
    }
}

fn open_sink(name: &str) -> io::Result<End> {
    match name {
        "-" => Ok(End::File(standard(1))),
        "null:" => File::options().write(true).open("/dev/null").map(End::File),
        _ => open_socket(name).unwrap_or_else(|| File::create(name).map(End::File)),
    }
}

fn copy(source: End, sink: &mut End) -> io::Result<u64> {
    match (source, sink) {
        (End::File(mut s), End::File(k)) => io::copy(&mut s, k),
        (End::File(mut s), End::Tcp(k)) => io::copy(&mut s, k),
        (End::File(mut s), End::Unix(k)) => io::copy(&mut s, k),
        (End::Tcp(mut s), End::File(k)) => io::copy(&mut s, k),
        (End::Tcp(mut s), End::Tcp(k)) => io::copy(&mut s, k),
        (End::Tcp(mut s), End::Unix(k)) => io::copy(&mut s, k),
        (End::Unix(mut s), End::File(k)) => io::copy(&mut s, k),
        (End::Unix(mut s), End::Tcp(k)) => io::copy(&mut s, k),
        (End::Unix(mut s), End::Unix(k)) => io::copy(&mut s, k),
    }
}

/// The peer is told that this was all.
fn finish(sink: End) -> io::Result<()> {
    match sink {
        End::File(mut file) => file.flush(),
        End::Tcp(stream) => stream.shutdown(Shutdown::Write),
        End::Unix(stream) => stream.shutdown(Shutdown::Write),
    }
}

fn main() -> io::Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.len() != 2 {
        eprintln!("usage: rust-copy SOURCE SINK");
        std::process::exit(2);
    }
    let (from, to) = (&names[0], &names[1]);
    let source = open_source(from)?;
    let mut sink = open_sink(to)?;
    copy(source, &mut sink)?;
    finish(sink)
}
