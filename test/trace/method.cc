// SPDX-License-Identifier: MIT
// In a method of a template of a namespace, inlined.
namespace shapes
{
template <class T> struct Box {
    T *at;
    T get(long i) const
    {
        return at[i]; // HERE
    }
};
template <class T> __attribute__((noinline)) T sum(const Box<T> &b, long n)
{
    T all = 0;
    for (long i = 0; i < n; i++)
        all += b.get(i << 22);
    return all;
}
} // namespace shapes

int main(int argc, char **)
{
    static int few[4];
    shapes::Box<int> box{few};
    return shapes::sum(box, 1000L * argc);
}
