// SPDX-License-Identifier: MIT
// An operator, in a template with two parameters.
namespace math
{
template <int M> struct Ring {
    int value;
    Ring operator%(int by) const
    {
        return {value % by}; // HERE
    }
};
} // namespace math

int main(int argc, char **)
{
    volatile int zero = argc - 1;
    math::Ring<7> r{argc + 40};
    return (r % zero).value;
}
