//! The limit: a raw Tokio loop per connection, one read, frames parsed in place, one write.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use veltix_core::ServerHandshake;

use crate::ours::announce;

const HEADER: usize = 15;
const ECHO: [u8; 2] = 200u16.to_be_bytes();

pub(crate) fn serve() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        announce(&listener.local_addr().expect("it is bound").to_string());
        loop {
            let (stream, _) = listener.accept().await.expect("connections can be accepted");
            tokio::spawn(connection(stream));
        }
    });
}

async fn connection(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    stream.write_all(&ServerHandshake::hello()).await.ok()?;
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    let mut handshake = ServerHandshake::new();
    while handshake.receive(&mut buffer).ok()?.is_none() {
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
    }
    let accepted: Bytes = ServerHandshake::accepted();
    stream.write_all(&accepted).await.ok()?;
    let mut scratch = vec![0; 256 * 1024];
    scratch[..buffer.len()].copy_from_slice(&buffer);
    let mut filled = buffer.len();
    let mut replies = Vec::new();
    loop {
        let used = handle(&scratch[..filled], &mut replies)?;
        scratch.copy_within(used..filled, 0);
        filled -= used;
        if !replies.is_empty() {
            stream.write_all(&replies).await.ok()?;
            replies.clear();
        }
        match stream.read(&mut scratch[filled..]).await.ok()? {
            0 => return None,
            read => filled += read,
        }
    }
}

/// Checks each whole frame, and copies the echoes; says how many bytes they were.
fn handle(bytes: &[u8], replies: &mut Vec<u8>) -> Option<usize> {
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + HEADER) {
        let length = u32::from_be_bytes([header[5], header[6], header[7], header[8]]) as usize;
        let Some(frame) = bytes.get(at..at + HEADER + length) else { break };
        let checksum = u32::from_be_bytes([header[9], header[10], header[11], header[12]]);
        if !header.starts_with(b"VX") || crc(&frame[HEADER..]) != checksum {
            return None;
        }
        if frame[3..5] == ECHO {
            replies.extend_from_slice(frame);
        }
        at += HEADER + length;
    }
    Some(at)
}

fn crc(body: &[u8]) -> u32 {
    crc32fast::hash(body)
}
