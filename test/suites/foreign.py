# SPDX-License-Identifier: MIT
"""Programs that others wrote and built, from the npm registry, on each engine.

test/foreign/programs.toml lists packages (fetched by `npm pack`, once, into build/foreign), what has
to be prepared from them, programs with what must come out, and modules that are only compiled. It is
no part of a plain `make test`, for it needs the network and two minutes: test/run foreign.

A program is a list of steps that share a fresh folder, /d to the guest; test/foreign/input is /in. A
step names the module below build/foreign (or in the folder: @D@), arguments, environment, further
dirs below build/foreign, or root, the only one it gets, and the file that is its standard input;
stderr = true lets it write there. The standard outputs of all steps, and the files named, must have
the digests given. Those were made with V8, by naming a script
that runs node's WASI in NEBULET: with NEBULET_DIGESTS set, digests are printed and not compared.
"""
import hashlib
import os
import pathlib
import shutil
import tempfile
import tomllib

from . import base

HERE = base.ROOT / "test/foreign"
BUILT = base.ROOT / "build/foreign"
LIMIT = 300


def fetch(name, package):
    """Unpacks the package into build/foreign/NAME; an interrupted run leaves nothing that counts."""
    target, part = BUILT / name, BUILT / f"{name}.part"
    if (target / package.replace("/", "+")).exists():
        return
    shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    part.mkdir(parents=True)
    packed = base.run(["npm", "pack", "--silent", package], cwd=part, limit=LIMIT)
    if packed.code:
        raise base.Skipped(f"{package} cannot be fetched")
    archive = part / packed.out.decode().split()[-1]
    base.run(["tar", "xzf", archive, "--strip-components=1"], cwd=part, limit=LIMIT).check()
    archive.unlink()
    (part / package.replace("/", "+")).touch()
    part.rename(target)


def prepare(rule):
    target, part = BUILT / rule["makes"], BUILT / f"{rule['makes']}.part"
    if target.exists():
        return
    shutil.rmtree(part, ignore_errors=True)
    part.unlink(missing_ok=True)
    for command in rule["commands"]:
        words = [w.replace("@HERE@", str(HERE)).replace("@MAKES@", str(part)) for w in command]
        if not shutil.which(words[0]):
            raise base.Skipped(f"{words[0]} is not installed")
        base.run(words, cwd=BUILT, limit=LIMIT).check()
    part.rename(target)


class Shop:
    """Gets what cases need, once each; what cannot be had is remembered as the reason."""

    def __init__(self, listed):
        self.packages = listed["packages"]
        self.rules = {rule["makes"]: rule for rule in listed["prepare"]}
        self.reasons = {}

    def get(self, name):
        """None, or why it is not to be had."""
        if name not in self.reasons:
            self.reasons[name] = None
            try:
                if name in self.packages:
                    fetch(name, self.packages[name])
                else:
                    missing = [r for r in map(self.get, self.rules[name]["needs"]) if r]
                    if missing:
                        raise base.Skipped(missing[0])
                    prepare(self.rules[name])
            except base.Skipped as why:
                self.reasons[name] = str(why)
        return self.reasons[name]


def require(reasons):
    for reason in reasons:
        if reason:
            raise base.Skipped(reason)


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def run_step(bench, engine, step, folder):
    dirs = [f"{HERE / 'input'}::/in", f"{folder}::/d", f"{folder / 'tmp'}::/tmp"]
    dirs += [str(BUILT / d) for d in step.get("dirs", [])]
    if "root" in step:
        dirs = [f"{HERE / step['root']}::/"]
    flags = [word for d in dirs for word in ("--dir", d)]
    flags += [word for variable in step.get("env", []) for word in ("--env", variable)]
    data = (HERE / "input" / step["stdin"]).read_bytes() if "stdin" in step else b""
    wasm = BUILT / step["wasm"].replace("@D@", str(folder))
    result = bench.nebulet("run", "--engine", engine, *flags, wasm, *step.get("args", []),
                           stdin=data, limit=LIMIT)
    return result.check(0, None, None if step.get("stderr") else b"").out


def run_program(bench, engine, program, reasons):
    require(reasons)
    with tempfile.TemporaryDirectory(prefix="nebulet-foreign-") as scratch:
        folder = pathlib.Path(scratch)
        (folder / "tmp").mkdir()
        out = b"".join(run_step(bench, engine, step, folder) for step in program["step"])
        wanted = {"stdout": program["stdout"], **program.get("files", {})}
        made = {name: digest(out if name == "stdout" else (folder / name).read_bytes())
                for name in wanted}
    if os.environ.get("NEBULET_DIGESTS"):
        print(program["name"], made)
        return
    wrong = [f"{name} is {made[name]}, expected {wanted[name]}" for name in wanted
             if made[name] != wanted[name]]
    if wrong:
        raise base.Failed("\n".join(wrong) + "\n" + base.excerpt(out))


def compile_module(bench, engine, wasm, reasons):
    require(reasons)
    bench.nebulet("compile", "--engine", engine, BUILT / wasm, limit=LIMIT).check(0, None, b"")


def cases(bench):
    for tool in ("npm", "node", "tar"):
        if not shutil.which(tool):
            raise base.Unavailable(f"{tool} is not installed")
    BUILT.mkdir(parents=True, exist_ok=True)
    listed = tomllib.loads((HERE / "programs.toml").read_text())
    shop = Shop(listed)
    found = []
    for program in listed["program"]:
        reasons = [shop.get(name) for name in program["needs"]]
        found += [base.Case(program["name"], e, lambda e=e, p=program, r=reasons:
                            run_program(bench, e, p, r))
                  for e in program.get("engines", base.ENGINES) if e in bench.engines]
    for module in listed["module"]:
        reasons = [shop.get(name) for name in module["needs"]]
        found += [base.Case(module["wasm"], e, lambda e=e, w=module["wasm"], r=reasons:
                            compile_module(bench, e, w, r)) for e in bench.engines]
    return found
