// One node of Socket.IO with its Redis adapter. Arguments: the directory with the packages, and the
// URL of the Redis server. It prints its address.
"use strict";

const { createRequire } = require("node:module");
const path = require("node:path");

const [directory, broker] = process.argv.slice(2);
const load = createRequire(path.join(directory, "package.json"));
const { Server } = load("socket.io");
const { createAdapter } = load("@socket.io/redis-adapter");
const { createClient } = load("redis");

async function main() {
  const publisher = createClient({ url: broker });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const http = require("node:http").createServer();
  const io = new Server(http, {
    transports: ["websocket"],
    // The generator counts bytes and answers no pings.
    pingInterval: 3_600_000,
    adapter: createAdapter(publisher, subscriber),
  });
  io.on("connection", (socket) => {
    socket.on("e", (body) => socket.emit("e", body));
    socket.on("s", () => {});
    socket.on("p", (body) => socket.broadcast.emit("p", body));
    socket.on("t", (body) => io.to("room").emit("t", body));
    socket.on("j", (body) => {
      socket.join("room");
      socket.emit("j", body);
    });
  });
  http.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => {
    console.log(`127.0.0.1:${http.address().port}`);
  });
}

main().catch((error) => {
  console.log(String(error));
  process.exit(1);
});
