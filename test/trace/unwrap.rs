// SPDX-License-Identifier: MIT
use std::collections::HashMap;

fn main() {
    let mut m = HashMap::new();
    m.insert(std::env::args().count(), 1);
    let found = m.get(&77).unwrap(); // HERE
    println!("{}", found);
}
