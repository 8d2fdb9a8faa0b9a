# SPDX-License-Identifier: MIT
# A file that is not there, is a folder, or is not WebAssembly: an error that says so.
for command in run validate inspect; do
    run $command missing.wasm
    exits 1
    says 'missing\.wasm'
    mkdir -p folder.wasm
    run $command folder.wasm
    exits 1
    says 'folder\.wasm'
    : >empty.wasm
    run $command empty.wasm
    exits 1
    says 'empty\.wasm'
    echo 'not a module at all' >text.wasm
    run $command text.wasm
    exits 1
    says 'text\.wasm'
done
