# SPDX-License-Identifier: MIT
# doc/init.md: its three commands on its manifest, with programs of these names that do what its last lines tell.
root=$HERE/../..
sdk=$root/build/sdk/nebulet.cfg init=$(dirname "$NEBULET")/user/init.wasm
[ -f "$init" ] || init=$(dirname "$NEBULET")/../lib/nebulet/user/init.wasm
[ -f "$sdk" ] || sdk=$(dirname "$NEBULET")/../lib/nebulet/wasm32/nebulet.cfg
[ -f "$init" ] && [ -f "$sdk" ] || { echo "make userspace has not been run" >&2; exit 77; }
mkdir folder
# The service counts who asks; the client is not content with being the first.
cat >names.c <<'END'
#include <sip.h>
static unsigned asked;
static enum sip_verdict answer(struct sip_service *s, struct sip_client *c, const struct sip_request *r)
{
    (void)s, (void)r;
    asked++;
    sip_answer(c, &asked, sizeof asked);
    return SIP_GO_ON;
}
int main(void) { struct sip_service s = {.request = answer}; return sip_serve("names", &s) < 0; }
END
cat >client.c <<'END'
#include <sip.h>
#include <string.h>
int main(int count, char **words)
{
    unsigned n = 0;
    if (count != 3 || strcmp(words[2], "good morning"))
        return 9;
    int64_t to = sip_connect("names");
    sip_must(to, "the service");
    sip_must(sip_send((nebulet_handle)to, "x", 1), "asking");
    sip_must(sip_recv((nebulet_handle)to, &n, sizeof n), "the answer");
    if (n == 1)
        __builtin_trap();
    return 0;
}
END
for name in names client; do
    clang-22 --config="$sdk" -O2 $name.c -o folder/$name.wasm
done
python3 - "$root/doc/init.md" "$NEBULET" "$init" <<'EOF'
import pathlib, re, subprocess, sys
text = pathlib.Path(sys.argv[1]).read_text()
commands, manifest, *_, said = re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)
for name in "init", "other":
    pathlib.Path(f"folder/{name}.manifest").write_text(manifest)
lines = [line.split("#")[0] for line in commands.splitlines() if line.startswith("build/nebulet")]
assert len(lines) == 3, lines
for line in lines:
    command = line.replace("build/nebulet", sys.argv[2]).replace("build/user/init.wasm", sys.argv[3])
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=200, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and done.stdout == said, (line, done.returncode, done.stdout, done.stderr, said)
EOF
