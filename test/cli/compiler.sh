# SPDX-License-Identifier: MIT
# Who takes another compiler is told in one line which one it is to be.
command -v gcc >/dev/null || { echo "no gcc" >&2; exit 77; }
unset MAKEFLAGS MFLAGS MAKELEVEL
if make -C "$HERE/../.." -n CC=gcc build/nebulet >out 2>err; then
    echo "make takes it" >&2
    exit 1
fi
code=2 shown='(make CC=gcc)'
[ "$(grep -c . err)" = 1 ] || fail "more than a line"
says 'gcc is GCC.*make CC=clang'
make -C "$HERE/../.." -n clean >out 2>err
silent
