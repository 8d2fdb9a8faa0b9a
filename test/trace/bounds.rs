// SPDX-License-Identifier: MIT
// An index out of bounds.
#[inline(never)]
fn at(v: &[i32], i: usize) -> i32 {
    v[i] // HERE
}

fn main() {
    let n = std::env::args().count();
    let v = vec![1, 2, 3];
    println!("{}", at(&v, n + 5));
}
