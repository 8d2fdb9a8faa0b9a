// SPDX-License-Identifier: MIT
// A virtual function of a derived class.
struct Shape {
    virtual int side(int of) const
    {
        return of;
    }
};

struct Polygon : Shape {
    int sides;
    explicit Polygon(int n) : sides(n)
    {
    }
    int side(int of) const override
    {
        return of / sides; // HERE
    }
};

__attribute__((noinline)) static int longest(const Shape &s, int of)
{
    return s.side(of) + 1;
}

int main(int argc, char **)
{
    Polygon p(argc - 1);
    return longest(p, 100);
}
