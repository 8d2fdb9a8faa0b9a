# SPDX-License-Identifier: MIT
# A folder is the same in a machine as it is here: names and links of any length, links that lead
# nowhere or out, times, what is neither file nor folder, as many folders as one likes, and what is
# said of those that are not there.
command -v qemu-system-x86_64 >/dev/null || { echo "no QEMU here" >&2; exit 77; }
clang-22 --target=wasm32-wasi -Wno-deprecated -O2 -w --no-wasm-opt "$HERE/folders.c" -o folders.wasm

both() { # ARGS...: the same from `run` and `boot`
    run_within 300 run "$@"
    cp out out.run
    cp err err.run
    run_code=$code
    run_within 300 boot "$@"
    [ "$code" = "$run_code" ] || fail "run's exit code is $run_code"
    cmp out out.run || fail "run prints: $(cat out.run)"
}

long=$(printf 'n%.0s' $(seq 250))
part=$(printf 'd%.0s' $(seq 90))
mkdir -p "data/$part/$part/$part/$long" data/empty data/sub
echo plain >data/plain
echo long >"data/$long"
echo deep >"data/$part/$part/$part/$long/$long"
echo inner >data/sub/inner
ln -s /etc/passwd data/absolute
ln -s plain data/relative
ln -s nowhere data/dangling
ln -s ../../etc/passwd data/outwards
ln -s sub data/folder
ln -s "$(printf './%.0s' $(seq 300))plain" data/winding
ln -s "/$(printf 'x/%.0s' $(seq 1000))" "data/to-$part"
mkfifo data/fifo
printf 'name\nwith lines' >"data/$(printf 'a\nb =')"
touch -d '2001-02-03 04:05:06.789012345 UTC' data/plain data/sub/inner
touch -d '1999-12-31 23:59:59 UTC' "data/$long"
touch -d '1969-12-31 23:59:00 UTC' data/empty
touch -d '2300-01-01 00:00:00 UTC' "data/$part/$part/$part/$long/$long"
touch -h -d '2010-10-10 10:10:10.5 UTC' data/absolute data/relative data/dangling data/outwards \
    data/folder data/winding "data/to-$part"
touch -d '2011-11-11 11:11:11 UTC' "data/$part/$part/$part/$long" "data/$part" data/sub data
touch -d '2012-12-12 12:12:12 UTC' "data/$(printf 'a\nb =')"
both --dir data::/ folders.wasm / "/$part/$part/$part/$long" /sub
exits 0
prints '^4 fifo: '
grep -v fifo out | sed 's/^\/: [0-9]* names//; s/^[0-9]* \.: .*//' >wanted
both --dir data::/:ro folders.wasm / "/$part/$part/$part/$long" /sub
exits 0
# A FIFO is not there in a copy.
both --dir data::/:copy folders.wasm / "/$part/$part/$part/$long" /sub
exits 0
sed 's/^\/: [0-9]* names//; s/^[0-9]* \.: .*//' out >got
cmp wanted got || fail "not as the folder itself: $(diff wanted got)"
prints '^5 plain: mode 100000, time 981173106.789012345, 6 bytes plain$'
prints '^8 absolute: .*, to 11 bytes /etc/passwd, opened: '

# What cannot be read is left out of a copy, and said; the rest is there.
mkdir odd
echo one >odd/one
echo two >odd/two
if [ "$(id -u)" != 0 ]; then
    chmod 0 odd/two
    both --dir odd::/:copy folders.wasm /
    exits 0
    prints '^3 one: '
    says 'odd/two: Permission denied'
fi

# What is made while it is read, by processes or whoever writes to a pipe, has no end that a copy
# could wait for.
mkfifo odd/pipe
both --dir odd::/:copy folders.wasm /
exits 0
prints '^3 one: '
for folder in /proc /proc/self/fd; do
    both --dir "$folder::/:copy" folders.wasm /
    exits 1
    says "^nebulet: $folder: this is made while it is read"
    run_within 60 boot --dir "$folder::/" folders.wasm /
    exits 1
    says "^nebulet: --dir $folder: "
done
# What lies in /proc is not reached by a folder above it either.
run_within 60 boot --dir /::/ folders.wasm /proc/self
prints '^/proc/self: '

# More than eight.
set --
for i in $(seq 20); do
    mkdir "many$i"
    echo "$i" >"many$i/file"
    set -- "$@" --dir "many$i::/m$i"
done
both "$@" folders.wasm /m1 /m9 /m20
exits 0
prints '^folder 22: </m20>$'

# More than a small machine has places for is a larger one, unless it is to be small.
run_within 60 boot --machine microvm "$@" folders.wasm /m1
exits 1
says '^nebulet: --dir, --disk: a machine of type microvm has no more than '
for i in $(seq 21 25); do
    set -- "$@" --dir "many1::/m$i"
done
run_within 60 boot "$@" folders.wasm /m1
exits 1
says '^nebulet: --dir, --disk: a machine has no more than 24'

# The forms of --dir, and what is said when they are wrong.
mkdir 'x::y' 2>/dev/null || :
for form in data/sub data/sub:: data/sub::a::b data/sub::::c ::x '' missing::y folders.wasm 'x::y' \
    "data/sub::$long$long" data/sub::ro data/sub:ro:rw data/sub:copy:rw ':ro' 'data/sub::a:copy'; do
    both --dir "$form" folders.wasm
    [ "$code" = 0 ] || { cmp err err.run || fail "run says: $(cat err.run)"; says '^nebulet: --dir '; }
done
both --dir data/sub --dir data::/d folders.wasm data/sub
exits 0
prints '^folder 3: <data/sub>$'
