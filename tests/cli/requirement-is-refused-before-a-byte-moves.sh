#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --require: what cannot be met is refused with status 3 before a byte moves and before the sink is
# touched; zero-copy goes by what a probe proves, no-user-copy by the table, and that is said.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(100000)
directory = scratch()
memory = on("tmpfs")
path, out = file_with(data, f"{directory}/in"), f"{memory}/out"

# Anything into a file of memory is a copy; on a disk there is `direct`.
for source in (path, "-", "zero:"):
    file_with(b"precious", out)
    options = {}
    if source == "-":
        options["stdin"], write_end = os.pipe()
        os.write(write_end, b"12345")
    length = ["--length", "100"] if source == "zero:" else []
    copy("--require=zero-copy", *length, source, out, **options).refused(3, r"zero-copy|requir")
    equal(content(out), b"precious", f"the sink after a refusal, {source}")
    copy("--require", "zero-copy", *length, source, f"{memory}/new", **options).refused(3)
    no_leftovers(memory, "out")
    if source == "-":
        os.close(write_end)
        equal(Collector(options["stdin"]).result(), b"12345", "the source after a refusal")

# A method by name that crosses user memory.
for method in ("read-write", "mmap-write"):
    copy("--require=no-user-copy", f"--method={method}", path, out).refused(3)
    copy("--require=zero-copy", f"--method={method}", path, out).refused(3)
    equal(content(out), b"precious", f"the sink after a refusal, {method}")

# Only copies through user memory can serve an O_APPEND sink and datagrams.
sink = os.open(out, os.O_WRONLY | os.O_APPEND)
copy("--require=no-user-copy", path, "-", stdout=sink).refused(3)
copy("--require=no-user-copy", "--append", path, out).refused(3)
equal(content(out), b"precious", "the O_APPEND sink after a refusal")
ours, theirs = unix_pair(socket.SOCK_DGRAM)
copy("--require=no-user-copy", path, f"fd:{theirs.fileno()}", pass_fds=[theirs.fileno()]).refused(3)

# The peer of a refused transfer sees nothing.
listener = tcp_listener()
listener.settimeout(0.3)
copy("--require=no-user-copy", "--method=read-write", path, tcp_address(listener)).refused(3)
try:
    peer = listener.accept()[0]
    peer.settimeout(2)
    equal(peer.recv(10), b"", "what the peer of a refused transfer received")
except socket.timeout:
    pass

# What can be met, and that it goes by the table.
ledger = copy("--json", "--require=no-user-copy", path, out).expect(0).says(r"expect").ledger()
same_bytes(content(out), data, "--require=no-user-copy")
check(all(leg["class"] != "user-copy" for leg in ledger["legs"]), f"the legs: {ledger['legs']}")
listener = tcp_listener()
collector = Collector(listener, listener=True)
ledger = copy("--json", "--require=zero-copy", path, tcp_address(listener)).expect(0).ledger()
same_bytes(collector.result(), data, "--require=zero-copy into TCP")
equal(ledger["copies_per_byte"], 0, "copies per byte")
check(all(leg["known"] == "proven" for leg in ledger["legs"]), f"not proven: {ledger['legs']}")
copy("--require=no-user-copy", "-", out, input=data).expect(0)
same_bytes(content(out), data, "--require=no-user-copy from a pipe")
copy("--require=any", "--method=read-write", path, out).expect(0)
copy("--require=most", path, out).refused(2, "most")
PY
