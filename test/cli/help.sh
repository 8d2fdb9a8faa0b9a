# SPDX-License-Identifier: MIT
# --help on the program and on each command: on stdout, exit 0, naming what there is.
run --help
exits 0
silent
for word in run validate inspect wast; do
    prints "$word"
done

run run --help
exits 0
silent
for option in --dir --env --argv0 --engine --invoke --max-memory --max-time --trace; do
    prints "^ *$option"
done

for command in validate inspect wast; do
    run $command --help
    exits 0
    silent
    prints "nebulet $command"
done
