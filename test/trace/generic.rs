// SPDX-License-Identifier: MIT
// A trait's method, through a table of methods.
trait Shape {
    fn area(&self, sides: &[u32]) -> u32;
}

struct Square;
struct Nothing;

impl Shape for Square {
    #[inline(never)]
    fn area(&self, sides: &[u32]) -> u32 {
        sides[0] * sides[sides.len()] // HERE
    }
}

impl Shape for Nothing {
    #[inline(never)]
    fn area(&self, sides: &[u32]) -> u32 {
        sides.len() as u32
    }
}

fn main() {
    let n = std::env::args().count();
    let shapes: Vec<Box<dyn Shape>> = vec![Box::new(Nothing), Box::new(Square)];
    let sides = vec![2; n];
    println!("{}", shapes.iter().map(|s| s.area(&sides)).sum::<u32>());
}
