# SPDX-License-Identifier: MIT
# engines: each
# --trace prints every call: when, in which process, with its name, arguments and result; on stderr or to a file, and
# changes nothing else. A line of it is never in the middle of one of the program's.
cat >parts.c <<'EOF'
#include <unistd.h>
int main(void)
{
    write(1, "a", 1), write(1, "b", 1), write(2, "c", 1), write(1, "d\n", 2), write(2, "e\n", 2);
    access("/none", F_OK), write(1, "f", 1);
    return 3;
}
EOF
clang-22 --target=wasm32-wasi -Wno-deprecated -O1 --no-wasm-opt parts.c -o parts.wasm
line='^[0-9]+\.[0-9]{6} 1 [a-z_]+\(.*\) = ([A-Z]+|\?)$'

both() { # COMMAND ARGS...: all that comes out, in one file
    "$NEBULET" "$@" >all 2>&1 || code=$?
    shown=$* err=all out=all
}

for command in run boot; do
    code=0
    run $command --engine "$ENGINE" --trace parts.wasm
    exits 3
    [ "$(cat out)" = "abd
f" ] || fail "another output"
    [ "$(grep -Evc "$line" err)" = 1 ] && grep -q '^ce$' err || fail "more than the trace and what the program says"
    says 'fd_write\(fd=1, iovs=0x[0-9a-f]+\[1\], nwritten=0x[0-9a-f]+\) = SUCCESS'
    says 'proc_exit\(code=3\) = \?'
    # Where both go to the same file
    code=0
    both $command --engine "$ENGINE" --trace parts.wasm
    [ "$code" = 3 ] || { cat all >&2; echo "exit code $code" >&2; exit 1; }
    grep -Ev "$line" all >own || :
    printf 'abcd\ne\nf\n' | cmp - own >&2 || { cat all >&2; exit 1; }
    # To a file, and some calls only
    run $command --engine "$ENGINE" --trace=calls --trace-calls='proc_*,fd_write' parts.wasm ++ "$GUESTS/hello.wasm"
    exits 3
    [ "$(cat err)" = ce ] || fail "something else on stderr"
    [ "$(grep -c ' 1 fd_write' calls)" = 6 ] && grep -q ' 2 fd_write' calls || { cat calls >&2; exit 1; }
    ! grep -Ev ' (fd_write|proc_exit)\(' calls >&2
    for process in 1 2; do
        grep " $process " calls | cut -d' ' -f1 | sort -nc # two that run at once may be told in any order
    done
done
run run --trace-calls='fd_w*' parts.wasm
says ' 1 fd_write'
! grep -q fd_prestat err || fail "calls that were not asked for"
run run --trace=none/calls parts.wasm
exits 1
says 'none/calls'
run run --trace --engine "$ENGINE" "$GUESTS/hello.wasm"
exits 0
prints '^Hello, world$'
says ' 1 fd_write'
run run --trace=/dev/full --engine "$ENGINE" "$GUESTS/hello.wasm"
exits 0
prints '^Hello, world$'
says '^nebulet: /dev/full: No space left on device$'
for wrong in fd_wirte 'fd_read,nothing_*' ',fd_read'; do
    run run --trace-calls="$wrong" "$GUESTS/hello.wasm"
    exits 2
    says 'there is no call'
done
