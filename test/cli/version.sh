# SPDX-License-Identifier: MIT
# --version: one line with a number.
run --version
exits 0
silent
prints '^nebulet [0-9]+\.[0-9]+'
[ "$(wc -l <out)" = 1 ] || fail "more than one line"
