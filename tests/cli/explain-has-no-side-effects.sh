#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# sluice explain prints the plan and does nothing else: it does not connect, bind, create, open for
# writing, truncate, read or move.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"
skip_under_sanitizer "it makes directories of its own"

scenario <<'PY'
directory = scratch()
data = random_bytes(5000)
path, out = file_with(data, f"{directory}/in"), f"{directory}/out"
fifo = f"{directory}/fifo"
os.mkfifo(fifo)
file_with(b"precious", out)
listener = tcp_listener()
unix, unix_address = unix_listener()
PAIRS = [(path, f"{directory}/new"), (path, out), (path, "tcp:"), (path, "pipe:"), ("tcp:", "tcp:"),
         (path, tcp_address(listener)), (tcp_address(listener), out), ("tcp-listen:0", out),
         (path, "tcp-listen:127.0.0.1:0"), (path, unix_address), (f"unix-listen:{directory}/listen",
                                                                  out),
         (path, f"unix:{directory}/absent"), (path, "tcp:no-such-host.invalid:9"), (path, "null:"),
         ("zero:", out), ("-", out), (path, "-"), (fifo, out), (path, fifo), ("unix:", "pipe:"),
         ("pipe:", "tcp:"), ("pipe:", out)]
EVENTS = ("connect,bind,listen,accept,accept4,sendto,sendmsg,creat,mkdir,mknod,mknodat,unlink,"
          "unlinkat,rename,renameat,renameat2,link,linkat,symlink,truncate,ftruncate,fallocate,"
          "execve,splice,"
          "sendfile,copy_file_range,tee,vmsplice,open,openat,openat2")
for extra in ([], ["--json"]):
    for source, sink in PAIRS:
        options = {}
        if source == "-":
            options["stdin"], write_end = os.pipe()
            os.write(write_end, b"12345")
        result = traced("explain", *extra, source, sink, trace=EVENTS, seconds=10, **options)
        result.expect(0)
        for call in result.calls:
            if call.name in ("open", "openat", "openat2"):
                check(not re.search(r"O_CREAT|O_TRUNC|O_TMPFILE|O_WRONLY|O_RDWR", call.arguments)
                      or "/dev/null" in call.arguments, f"explain {source} {sink}: {call}")
                check("fifo" not in call.arguments
                      or re.search("O_NONBLOCK|O_PATH", call.arguments),
                      f"explain {source} {sink} may wait: {call}")
            elif call.name == "execve":
                check(call is result.calls[0], f"explain runs something: {call}")
            else:
                problem(f"explain {source} {sink}: {call}")
        if source == "-":
            os.close(write_end)
            equal(Collector(options["stdin"]).result(), b"12345", "standard input after explain")
        no_leftovers(directory, "in", "out", "fifo")
        equal(content(out), b"precious", f"the sink after explain {source} {sink}")
for peer in (listener, unix):
    peer.settimeout(0.05)
    try:
        peer.accept()
        problem("explain connected")
    except socket.timeout:
        pass
equal(content(path), data, "the source")
PY
