// One Matrix device, asked for things by lines of JSON on the socket that is its standard input:
//   {"id": 1, "do": "send", "with": {...}}
// answered by {"id": 1, "result": ...} or {"id": 1, "error": "..."},
// and telling what happened by itself: {"event": {...}}, {"verification": {...}}.
// Standard output is the log. The other side is tests/peers/element.py.
import { Socket } from "node:net";
import { createInterface } from "node:readline";
import { logger } from "./modules.mjs";
import { Device } from "./device.mjs";

logger.setLevel(process.env.ELEMENT_LOG ?? "info");
const socket = new Socket({ fd: 0, readable: true, writable: true });
const say = (message) => socket.write(JSON.stringify(message) + "\n");
const device = new Device(say);

async function answer({ id, do: name, with: wishes }) {
  try {
    say({ id, result: (await device[name](wishes)) ?? null });
  } catch (error) {
    logger.warn(`${name} failed:`, error);
    say({ id, error: [error?.errcode, error?.message ?? error].filter(Boolean).join(": ") });
  }
}

createInterface({ input: socket }).on("line", (line) => answer(JSON.parse(line)));
// Whoever asks is gone, or has had the answer to `stop`: nothing else may keep this process alive.
socket.on("close", () => process.exit(0)).on("error", () => process.exit(1));
