#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A source in memory has holes and no device: `direct` reads it as a stream, skips its holes, and goes on behind
# them in the sink.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
memory = on("tmpfs")
path = f"{memory}/in"
lengths = (100, 4096, 5000, 8192, 65536, 70000, 3 * MIB)
for disk in (on("ext4"), on("fuse")):
    out = f"{disk}/out"
    for seed in range(60 if ALL else 25):
        rng = random.Random(seed)
        pieces = [(rng.choice(lengths), rng.random() < 0.5) for _ in range(rng.randrange(2, 7))]
        data = b"".join(bytes(length) if hole else rng.randbytes(length) for length, hole in pieces)
        with open(path, "wb") as file:
            file.truncate(len(data))
            at = 0
            for length, hole in pieces:
                if not hole:
                    os.pwrite(file.fileno(), data[at:at + length], at)
                at += length
        source, sink = rng.choice((0, 0, 1, 4096, 100)), rng.choice((0, 0, 1, 512, 4096))
        source = min(source, len(data))
        for option in ("--method=direct", "--cache=bypass"):
            if os.path.exists(out):
                os.unlink(out)
            copy(option, f"--offset={source}", f"--offset=sink={sink}", path, out).expect(0)
            wanted = bytes(sink) + data[source:] if data[source:] else b""
            same_bytes(content(out), wanted, f"{option}, seed {seed}, from {source} to {sink}, into {disk}: {pieces}")
PY
