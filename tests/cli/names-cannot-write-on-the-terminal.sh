#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A file's name is any bytes, and so is an argument: in messages, the ledger, the plan and the checksum's line
# they can neither end the line, nor move the cursor, nor change colours. JSON has the name as it is.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
directory = scratch()
evil = b"a\nb\rc\x1b]0;title\x07\x1b[2Jd\x7f\x9b5m\xc2\x9b6m"
shown = r"a\nb\rc\x1b]0;title\x07\x1b[2Jd\x7f\x9b5m\xc2\x9b6m"
name = os.path.join(directory.encode(), evil)
missing = name + b"-"
with open(name, "wb") as file:
    file.write(random_bytes(100000))


def said(*words):
    # What tee moves is on its standard output.
    output = subprocess.DEVNULL if words[0] == b"tee" else subprocess.PIPE
    done = subprocess.run([*(word.encode() for word in SLUICE), *words], stdin=subprocess.DEVNULL, stdout=output,
                          stderr=subprocess.PIPE, timeout=LIMIT)
    text = (done.stdout or b"") + done.stderr
    for byte in (b"\r", b"\x1b", b"\x07", b"\x7f", b"\x9b", b"a\nb"):
        check(byte not in text, f"{byte!r} comes out of {words}: {text!r}")
    return text.decode(errors="replace")


for words in ([b"copy", missing, b"null:"], [b"copy", b"/dev/zero", name + b"/x"], [b"copy", b"zero:", missing + b"/x"],
              [b"copy", b"--salvage=" + missing + b"/x", name, b"null:"], [b"copy", b"--length=" + evil, name, b"null:"],
              [b"copy", b"--method=" + evil, name, b"null:"], [b"copy", name, b"unix:" + missing],
              [b"copy", name, b"tcp:" + evil + b":1"], [b"copy", b"--" + evil, name, b"null:"], [evil],
              [b"copy", b"--stats", name, b"null:"], [b"copy", b"-v", name, b"null:"],
              [b"copy", b"--checksum=xxh3", name, b"null:"], [b"explain", name, b"tcp:"], [b"explain", missing, b"tcp:"],
              [b"tee", b"--stats", b"--checksum=xxh3", b"--from=" + name, name + b"2"]):
    text = said(*words)
    check(shown in text, f"the name is not in what is said by {words}: {text!r}")

# JSON has escapes of its own.
plain = os.path.join(directory, "x\ny\x1b")
with open(plain, "wb") as file:
    file.write(random_bytes(1000))
told = json.loads(said(b"copy", b"--json", plain.encode(), b"null:"))
equal(told["source"], plain, "the name in JSON")

# Two of the longest names there are, and the reason after them is not lost.
long = "/".join(["y" * 200] * 19)
text = said(b"copy", b"--method=copy-range", name, (directory + "/" + long).encode())
check("No such file" in text, text)
PY
