# SPDX-License-Identifier: MIT
# check/install where it cannot install: it says what is missing.
code=0
shown='(check/install)'
mkdir bin check
for command in bash dirname grep python3; do
    ln -s "$(command -v $command)" bin
done
cp "$HERE/../../check/install" check
printf '# a comment\nalpha one\nbeta one,two no-such-command\ngamma two\ndelta one bash\nnpm:words one\n' >check/packages
install() {
    code=0
    PATH="$PWD/bin" bash check/install "$@" >out 2>err || code=$?
}
# Nobody knows.
install two
exits 0
says '^check/install: no dpkg here .*: beta gamma$'
# It is known.
printf '#!/bin/sh\necho "alpha installed"\nexit 1\n' >bin/dpkg-query
ln -s "$(command -v sh)" bin
chmod +x bin/dpkg-query
install one two
exits 1
says '^check/install: missing, and cannot be installed without apt-get: beta gamma$'
sed -i '/^beta/d' check/packages
install one
exits 1
says '^check/install: missing, and cannot be installed without npm: npm:words$'
sed -i '/^npm/d' check/packages
install one
exits 0
silent
