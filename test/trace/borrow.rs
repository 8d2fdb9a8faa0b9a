// SPDX-License-Identifier: MIT
// A cell that is borrowed already.
use std::cell::RefCell;

#[inline(never)]
fn count(c: &RefCell<Vec<usize>>) {
    let first = c.borrow();
    let n = first.len() + 1;
    c.borrow_mut().push(n); // HERE
}

fn main() {
    let c = RefCell::new(vec![std::env::args().count()]);
    count(&c);
    println!("{:?}", c);
}
