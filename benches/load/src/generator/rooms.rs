//! Messages to rooms, each of which has its reader on one node of a cluster.

use std::io::{self, Read, Write};
use std::ops::Range;

use anyhow::{Result, ensure};

use super::{Target, join};
use crate::socket::Socket;
use crate::wire::{Role, join_room, to_room};

/// The bytes of a body.
const BODY: usize = 64;

/// A reader in each room, and a publisher on each node.
#[derive(Debug)]
pub(crate) struct Rooms {
    /// The readers, by room. The room belongs to the node with the remainder of its number.
    readers: Vec<Socket>,
    publishers: Vec<Socket>,
}

impl Rooms {
    /// Connects the publishers and the readers of this number of rooms.
    pub(crate) fn gather(targets: &[Target<'_>], rooms: usize) -> io::Result<Self> {
        let mut readers = Vec::new();
        for room in 0..rooms {
            let mut reader = join(targets[room % targets.len()], Role::Quiet)?;
            join_room(&mut reader, room as u64)?;
            readers.push(reader);
        }
        let publishers = targets.iter().map(|target| join(*target, Role::Quiet));
        Ok(Self { readers, publishers: publishers.collect::<io::Result<_>>()? })
    }

    /// Publishes `times` messages from each node to each room of another node or of the same one, one
    /// at a time, and waits for each delivery. With a node, only the other nodes publish, and only to
    /// its rooms.
    pub(crate) fn publish(&mut self, only: Option<usize>, times: usize) -> Result<()> {
        let nodes = self.publishers.len();
        for round in 0..times {
            for room in self.rooms().filter(|room| only.is_none_or(|node| room % nodes == node)) {
                for from in (0..nodes).filter(|from| only != Some(*from)) {
                    self.send(from, room, round as u8)?;
                }
            }
        }
        Ok(())
    }

    fn rooms(&self) -> Range<usize> {
        0..self.readers.len()
    }

    fn send(&mut self, from: usize, room: usize, mark: u8) -> Result<()> {
        let mut message = to_room(room as u64, BODY);
        let mut delivery = vec![mark; message.len()];
        self.publishers[from].write_all(&message)?;
        self.readers[room].read_exact(&mut delivery)?;
        // The id of a delivery is that of its server.
        let body = message.split_off(message.len() - BODY);
        ensure!(delivery.ends_with(&body), "a room received the message of another one");
        Ok(())
    }
}
