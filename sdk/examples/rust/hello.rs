// SPDX-License-Identifier: MIT
//! What examples/c does, in Rust without crates and without its library of hosted programs. nebulet.rs
//! is made from the platform's tables by sdk/bindings.
#![no_std]
#![no_main]

mod nebulet;

use core::fmt::{self, Write};
use nebulet::{error_text, Handle};

struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        unsafe { nebulet::print(text.as_ptr(), text.len() as u32) };
        Ok(())
    }
}

macro_rules! say {
    ($($words:tt)*) => { let _ = writeln!(Console, $($words)*); };
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    say!("{}", info);
    unsafe { nebulet::exit(1) }
}

fn must(result: i64, what: &str) -> u32 {
    if result < 0 {
        panic!("{}: {}", what, error_text(result));
    }
    result as u32
}

fn send(channel: Handle, text: &[u8]) -> i64 {
    let handles = core::ptr::null_mut();
    unsafe {
        nebulet::channel_send(channel, text.as_ptr(), text.len() as u32, handles, 0, nebulet::FOREVER)
    }
}

fn receive(channel: Handle, room: &mut [u8]) -> i64 {
    let (none, nothing) = (core::ptr::null_mut(), core::ptr::null_mut());
    unsafe {
        nebulet::channel_recv(
            channel, room.as_mut_ptr(), room.len() as u32, none, 0, nothing, nebulet::FOREVER)
    }
}

fn now() -> u64 {
    unsafe { nebulet::clock_now(nebulet::MONOTONIC) as u64 }
}

fn wait_for_timer() -> u64 {
    let timer = must(unsafe { nebulet::timer_create() }, "a timer");
    let start = now();
    must(unsafe { nebulet::timer_set(timer, start + 5_000_000, 0) }, "setting it");
    let signal = nebulet::EVENT_SIGNALED;
    must(unsafe { nebulet::object_wait_one(timer, signal, nebulet::FOREVER) }, "waiting");
    now() - start
}

#[no_mangle]
pub extern "C" fn _start() {
    let mut ends = [0; 2];
    let mut text = [0u8; 16];

    say!("hello from Rust");
    must(unsafe { nebulet::channel_create(&mut ends) }, "a channel");
    must(send(ends[0], b"a word"), "sending");
    let size = must(receive(ends[1], &mut text), "receiving") as usize;
    say!("received {} bytes: {}", size, core::str::from_utf8(&text[..size]).unwrap());

    must(unsafe { nebulet::handle_close(ends[0]) }, "closing");
    say!("the other end was closed: {}", error_text(receive(ends[1], &mut text)));

    let early = if wait_for_timer() < 4_000_000 { ", too early" } else { "" };
    say!("a timer came{}", early);
}
