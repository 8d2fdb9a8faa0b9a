# SPDX-License-Identifier: MIT
# The manual page and what completes words know all commands and options.
for command in run boot validate inspect explain; do
    run help $command
    exits 0
    sed -n 's/^  \(--*[a-z0-9-]*\).*/\1/p' out >options
    [ -s options ] || fail "no options"
    run help --man
    exits 0
    silent
    while read -r option; do
        grep -qF -- "$(printf '%s' "$option" | sed 's/-/\\-/g')" out || fail "the page has no $option"
    done <options
    run help --completion bash
    exits 0
    bash -c '. ./out; COMP_WORDS=(nebulet '$command' -) COMP_CWORD=2; _nebulet; printf "%s\n" "${COMPREPLY[@]}"' |
        sort >completed
    sort options | diff - completed >difference || fail "$(cat difference)"
done
for shell in zsh fish; do
    run help --completion $shell
    exits 0
    prints 'max-memory'
done
run help --completion
exits 2
run help --completion sh
exits 2
says 'bash'
