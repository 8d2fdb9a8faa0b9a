// SPDX-License-Identifier: MIT
// A text that is no number.
#[inline(never)]
fn parse(text: &str) -> i32 {
    text.trim().parse::<i32>().expect("a number") // HERE
}

fn main() {
    let first = std::env::args().next().unwrap_or_default();
    println!("{}", parse(&first));
}
