// SPDX-License-Identifier: MIT
// What examples/c does, in AssemblyScript. nebulet.ts is made from the platform's tables by
// sdk/bindings.
import * as nebulet from "./nebulet";

function say(line: string): void {
  const text = String.UTF8.encode(line + "\n");
  nebulet.print(changetype<usize>(text), text.byteLength);
}

// AssemblyScript's own way to give up; --use abort=hello/abort puts it in place of an import.
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const where = (file ? file : "?") + ":" + line.toString() + ":" + column.toString();
  say(where + ": " + (message ? message : "aborted"));
  nebulet.exit(1);
}

function must(result: i64, what: string): u32 {
  if (result < 0) {
    say(what + ": " + nebulet.error_text(result));
    nebulet.exit(1);
  }
  return <u32>result;
}

function send(channel: u32, text: string): i64 {
  const bytes = String.UTF8.encode(text);
  return nebulet.channel_send(channel, changetype<usize>(bytes), bytes.byteLength, 0, 0, nebulet.FOREVER);
}

function receive(channel: u32, room: ArrayBuffer): i64 {
  return nebulet.channel_recv(channel, changetype<usize>(room), room.byteLength, 0, 0, 0, nebulet.FOREVER);
}

function now(): u64 {
  return <u64>nebulet.clock_now(nebulet.MONOTONIC);
}

function waitForTimer(): u64 {
  const timer = must(nebulet.timer_create(), "a timer");
  const start = now();
  must(nebulet.timer_set(timer, start + 5_000_000, 0), "setting it");
  must(nebulet.object_wait_one(timer, nebulet.EVENT_SIGNALED, nebulet.FOREVER), "waiting");
  return now() - start;
}

export function _start(): void {
  const ends = new StaticArray<u32>(2);
  const room = new ArrayBuffer(16);

  say("hello from AssemblyScript");
  must(nebulet.channel_create(changetype<usize>(ends)), "a channel");
  must(send(ends[0], "a word"), "sending");
  const size = must(receive(ends[1], room), "receiving");
  say("received " + size.toString() + " bytes: " + String.UTF8.decode(room.slice(0, size)));

  must(nebulet.handle_close(ends[0]), "closing");
  say("the other end was closed: " + nebulet.error_text(receive(ends[1], room)));

  say("a timer came" + (waitForTimer() < 4_000_000 ? ", too early" : ""));
}
