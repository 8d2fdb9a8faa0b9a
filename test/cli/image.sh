# SPDX-License-Identifier: MIT
# What make image packs: the archive's parts have the digests that they are called by, and its program runs where nothing
# else is.
program=$(dirname "$NEBULET")/image/nebulet
[ -x "$program" ] || { echo "make image has not been run" >&2; exit 77; }
"$HERE/../../check/image" "$program" 1.2 image.tar
"$HERE/../../check/image" "$program" 1.2 again.tar
cmp image.tar again.tar
mkdir image
tar -xf image.tar -C image
python3 - image root <<'EOF'
import hashlib, json, pathlib, sys, tarfile
image = pathlib.Path(sys.argv[1])
assert json.loads((image / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
def blob(of):
    data = (image / "blobs" / of["digest"].replace(":", "/")).read_bytes()
    assert len(data) == of["size"] and hashlib.sha256(data).hexdigest() == of["digest"].split(":")[1]
    return data
index = json.loads((image / "index.json").read_text())
manifest = json.loads(blob(index["manifests"][0]))
config = json.loads(blob(manifest["config"]))
assert config["config"]["Entrypoint"] == ["/bin/nebulet"], config
layer = blob(manifest["layers"][0])
assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()]
pathlib.Path("layer.tar").write_bytes(layer)
tarfile.open("layer.tar").extractall(sys.argv[2])
EOF
[ "$(cd root && find . -type f)" = ./bin/nebulet ]
[ "$(id -u)" = 0 ] || { echo "no root, for chroot" >&2; exit 77; }
for engine in fast interp; do
    [ "$(chroot root /bin/nebulet run --engine $engine - <"$GUESTS/hello.wasm")" = "Hello, world" ] || {
        echo "it does not run: $engine" >&2
        exit 1
    }
done
[ "$(chroot root /bin/nebulet --version)" = "$("$NEBULET" --version)" ]
