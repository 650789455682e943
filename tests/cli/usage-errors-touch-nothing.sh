#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What was typed wrong is answered with status 2, one clear message and the nearest name, and
# nothing was opened for writing, created or connected.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
directory = scratch()
data = random_bytes(5000)
path, out, new = file_with(data, f"{directory}/in"), f"{directory}/out", f"{directory}/new"
file_with(b"precious", out)

WRONG = [
    # arguments, what the message must have
    (["--metod=splice", path, out], [r"--metod", r"--method"]),
    (["--aply", path, out], [r"--aply"]),
    (["--chek", "xxh3", path, out], [r"--chek"]),
    (["-Z", path, out], [r"Z"]),
    (["--method=splic", path, out], [r"splic\b", r"splice"]),
    (["--method=teleport", path, out], [r"teleport"]),
    (["--method=reflink,splice", path, out], [r"reflink,splice"]),
    (["--method", path], [r"."]),
    ([], [r"source|operand|usage|argument"]),
    ([path], [r"sink|operand|usage|argument"]),
    ([path, out, new], [re.escape(new)]),
    (["--length", "ten", path, out], [r"ten"]),
    (["--length", "-1", path, out], [r"-1"]),
    (["--length", "", path, out], [r"length"]),
    (["--length", "10X", path, out], [r"10X"]),
    (["--length", "10 K", path, out], [r"10 K"]),
    (["--length", "0x10", path, out], [r"0x10"]),
    (["--length", "1e3", path, out], [r"1e3"]),
    (["--length", "1..5K", path, out], [r"1\.\.5K"]),
    (["--length", "nan", path, out], [r"nan"]),
    (["--length", "18446744073709551616", path, out], [r"18446744073709551616"]),
    (["--length", "99999999999999999999P", path, out], [r"99999999999999999999P"]),
    (["--length", "17179869184G", path, out], [r"17179869184G"]),
    (["--offset", "-5", path, out], [r"-5"]),
    (["--offset", "sink=", path, out], [r"sink="]),
    (["--offset", "middle=5", path, out], [r"middle"]),
    (["--offset", "9223372036854775808", path, out], [r"9223372036854775808"]),
    (["--rate", "0", path, out], [r"rate|0"]),
    (["-L", "-3M", path, out], [r"-3M"]),
    (["--rate", "fast", path, out], [r"fast"]),
    (["--chunk", "0", path, out], [r"chunk|0"]),
    (["--chunk", "lots", path, out], [r"lots"]),
    (["--chunk", "1T", path, out], [r"1T"]),
    (["--pipe-size", "-4096", path, out], [r"-4096"]),
    (["--pipe-size", "100G", path, out], [r"100G"]),
    (["--idle-timeout", "soon", path, out], [r"soon"]),
    (["--idle-timeout", "-1", path, out], [r"-1"]),
    (["--linger", "1y", path, out], [r"1y"]),
    (["--size", "big", path, out], [r"big"]),
    (["--require=gold", path, out], [r"gold"]),
    (["--checksum=crc", path, out], [r"crc"]),
    (["--json=xml", path, out], [r"xml"]),
    (["--atomic=maybe", path, out], [r"maybe"]),
    (["--append", "--offset=sink=4", path, out], [r"append"]),
    (["--append=yes", path, out], [r"append"]),
    (["--salvage", "", path, out], [r"salvage"]),
    (["tcp:", out], [r"tcp:"]),
    (["tcp:localhost", out], [r"tcp:localhost", r"port"]),
    (["tcp:localhost:", out], [r"port"]),
    (["tcp:localhost:http:80", out], [r"localhost:http:80"]),
    (["tcp:localhost:99999", out], [r"99999"]),
    (["tcp:localhost:-1", out], [r"-1"]),
    (["tcp:::1:9000", out], [r"::1"]),
    (["tcp:[::1:9000", out], [r"\["]),
    (["tcp:[::1]9000", out], [r"\]"]),
    (["tcp::9000", out], [r"host|tcp::9000"]),
    ([path, "tcp-listen:"], [r"port|tcp-listen:"]),
    ([path, "tcp-listen:70000"], [r"70000"]),
    ([path, "tcp:localhost:9,speed=7"], [r"speed"]),
    ([path, "tcp:localhost:9,connect-timeout"], [r"connect-timeout"]),
    ([path, "tcp:localhost:9,connect-timeout=soon"], [r"soon"]),
    (["unix:", out], [r"unix:"]),
    (["unix:" + "x" * 200, out], [r"long|at most"]),
    ([path, "unix-listen:"], [r"unix-listen:"]),
    (["fd:", out], [r"fd:"]),
    (["fd:one", out], [r"fd:one"]),
    (["fd:-1", out], [r"fd:-1"]),
    (["fd:1x", out], [r"fd:1x"]),
    (["fd:99999999999", out], [r"fd:99999999999"]),
    (["null:x", out], [r"null:x"]),
    ([path, "zero:5"], [r"zero:5"]),
    (["", out], [r"empty|''|\"\""]),
    ([path, ""], [r"empty|''|\"\""]),
]
for arguments, patterns in WRONG:
    result = copy(*arguments, seconds=5)
    result.refused(2, *patterns)
    equal(result.out, b"", f"standard output of {result.command}")
    check(len(result.err) < 1500, f"more than a message: {result}")
    if not equal(content(out), b"precious", f"the sink after {result.command}"):
        file_with(b"precious", out)
    no_leftovers(directory, "in", "out")

# The nearest subcommand, and none at all.
for word, nearest in (("cpoy", "copy"), ("explian", "explain"), ("cop", "copy")):
    sluice(word, path, out).refused(2, rf"'?{word}'?", nearest)
sluice("frobnicate").refused(2, "frobnicate").never_says(r"did you mean.*copy")
sluice().expect(2).says(r"usage|copy")
sluice("--frob").refused(2, "--frob")
no_leftovers(directory, "in", "out")

# What begins with a dash, or a scheme, can still be named.
odd = file_with(data, f"{directory}/-odd")
copy("--", "-odd", "file:tcp:x", cwd=directory).expect(0)
same_bytes(content(f"{directory}/tcp:x"), data, "file:tcp:x")
copy("./tcp:x", "./fd:3", cwd=directory).expect(0)
same_bytes(content(f"{directory}/fd:3"), data, "./fd:3")
copy("in", "unknown:name", cwd=directory).expect(0)
same_bytes(content(f"{directory}/unknown:name"), data, "a name with an unknown scheme")
copy("in", "a,b\\c", cwd=directory).expect(0)
same_bytes(content(f"{directory}/a,b\\c"), data, "a plain path with a comma and a backslash")
copy("in", "file:a,b=c", cwd=directory).expect(0)
same_bytes(content(f"{directory}/a,b=c"), data, "a file: with a comma")
PY
