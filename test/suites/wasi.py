# SPDX-License-Identifier: MIT
"""The WASI preview 1 suite: three folders of programs, on each engine.

The conventions are the suite's own. Beside NAME.wasm there may be a NAME.json: args and env are
passed, root names a folder that is preopened as /, dirs names folders that are preopened under their
own names, and exit_code (0), stdout and stderr (anything, when not given) are what to expect. Every
run gets a fresh copy of the folders.
"""
import json
import pathlib
import shutil
import tempfile

from . import base

HOW = ("build the official wasi-testsuite for wasm32-wasip1 as folders assemblyscript, c and rust of "
       "NAME.wasm, NAME.json and fs-tests.dir")


def run_program(bench, engine, wasm):
    description = wasm.with_suffix(".json")
    spec = json.loads(description.read_bytes()) if description.exists() else {}
    folders = [(spec["root"], "/")] if "root" in spec else []
    folders += [(name, name) for name in spec.get("dirs", [])]
    with tempfile.TemporaryDirectory(prefix="nebulet-wasi-") as scratch:
        options = []
        for host, guest in folders:
            copy = pathlib.Path(scratch, host)
            shutil.copytree(wasm.parent / host, copy, symlinks=True, dirs_exist_ok=True)
            options += ["--dir", f"{copy}::{guest}"]
        for key, value in spec.get("env", {}).items():
            options += ["--env", f"{key}={value}"]
        result = bench.nebulet("run", "--engine", engine, *options, wasm, *spec.get("args", []),
                               cwd=scratch)
    stdout, stderr = spec.get("stdout"), spec.get("stderr")
    result.check(spec.get("exit_code", 0),
                 None if stdout is None else stdout.encode(),
                 None if stderr is None else stderr.encode())


def cases(bench):
    folder = base.unpack_suite(bench, "wasi-p1", "the WASI preview 1 suite", HOW)
    for engine in bench.engines:
        for wasm in sorted(folder.rglob("*.wasm")):
            name = str(wasm.relative_to(folder).with_suffix(""))
            yield base.Case(name, engine, lambda e=engine, w=wasm: run_program(bench, e, w))
