// SPDX-License-Identifier: MIT
// In a module of its own, by its own decision.
mod account {
    pub struct Account {
        pub left: i64,
    }

    impl Account {
        #[inline(never)]
        pub fn take(&mut self, n: i64) {
            if n > self.left {
                panic!("{} is more than {}", n, self.left); // HERE
            }
            self.left -= n;
        }
    }
}

fn main() {
    let mut a = account::Account { left: 10 };
    for i in 1..20 {
        a.take(i * std::env::args().count() as i64);
    }
    println!("{}", a.left);
}
