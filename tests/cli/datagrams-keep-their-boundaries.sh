#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Messages stay messages: none is cut, joined or lost, an empty one is not the end, and they end by
# length, by the idle timeout or by a signal.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
messages = [b"first", b"", random_bytes(5000), b"x", random_bytes(60000, 2), b"", b"last"]
total = sum(map(len, messages))

for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
    name = {socket.SOCK_DGRAM: "datagram", socket.SOCK_SEQPACKET: "seqpacket"}[kind]
    # Into a file: all bytes, past the empty one.
    for end in ("length", "idle-timeout", "signal"):
        out = os.path.join(scratch(), "out")
        ours, theirs = unix_pair(kind)
        extra = {"length": ["--length", str(total)], "idle-timeout": ["--idle-timeout", "0.3"],
                 "signal": []}[end]
        running = start("copy", "--json", *extra, f"fd:{theirs.fileno()}", out,
                        pass_fds=[theirs.fileno()])
        theirs.close()
        for message in messages:
            ours.send(message)
        if end == "signal":
            settle(running)
            running.signal(signal.SIGTERM)
        result = running.finish(10)
        equal(result.ledger()["delivered"], total, f"delivered, {name} ended by {end}; {result}")
        result.expect({"length": 0, "idle-timeout": 1, "signal": 143}[end])
        same_bytes(content(out), b"".join(messages), f"{name} ended by {end}")
        ours.close()

    # From messages to messages: one by one.
    ours, theirs = unix_pair(kind)
    far, near = unix_pair(kind)
    running = start("copy", "--length", str(total), f"fd:{theirs.fileno()}", f"fd:{near.fileno()}",
                    pass_fds=[theirs.fileno(), near.fileno()])
    threading.Thread(target=lambda: [ours.send(message) for message in messages],
                     daemon=True).start()
    far.settimeout(5)
    got = []
    while sum(map(len, got)) < total:
        got.append(far.recv(1 << 20))
    running.finish(10).expect(0)
    equal([len(m) for m in got if m], [len(m) for m in messages if m], f"boundaries, {name}")
    check([m for m in got if m] == [m for m in messages if m], f"{name}: the messages differ")

    # From a stream: messages of the chunk's size.
    far, near = unix_pair(kind)
    data = random_bytes(10500)
    path = file_with(data)
    running = start("copy", "--chunk", "1000", path, f"fd:{near.fileno()}",
                    pass_fds=[near.fileno()])
    near.close()
    far.settimeout(5)
    got = []
    while sum(map(len, got)) < len(data):
        got.append(far.recv(1 << 20))
    running.finish(10).expect(0)
    equal([len(m) for m in got], [1000] * 10 + [500], f"messages of a stream, {name}")
    same_bytes(b"".join(got), data, f"stream -> {name}")

# UDP, where a message longer than a buffer would be cut without a word.
receiver = socket.socket(type=socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
sender = socket.socket(type=socket.SOCK_DGRAM)
sender.connect(receiver.getsockname())
sent = [random_bytes(size, size) for size in (1, 65507, 0, 1472, 9000)]
out = os.path.join(scratch(), "out")
running = start("copy", "--length", str(sum(map(len, sent))), "--chunk", "4K",
                f"fd:{receiver.fileno()}",
                out, pass_fds=[receiver.fileno()])
for message in sent:
    sender.send(message)
running.finish(10).expect(0)
same_bytes(content(out), b"".join(sent), "UDP")
PY
