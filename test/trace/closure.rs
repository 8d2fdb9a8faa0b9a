// SPDX-License-Identifier: MIT
// In a closure that an iterator calls.
fn main() {
    let n = std::env::args().count() as i32;
    let all: i32 = (0..4)
        .map(|i| {
            let rest = i - n;
            100 / rest // HERE
        })
        .sum();
    println!("{}", all);
}
