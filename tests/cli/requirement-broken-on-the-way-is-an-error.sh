#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# When the kernel refuses the required method in the middle, the transfer stops at that byte with
# status 3 instead of falling back to a copy.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(MIB)
path = file_with(data)
out = os.path.join(scratch(), "out")
for call, extra in (("splice", ["-", out]), ("copy_file_range,sendfile,splice", [path, out])):
    source = {"input": data} if extra[0] == "-" else {}
    rules = [f"{name}:error=EINVAL:when={'3+' if call == 'splice' else '2+'}"
             for name in call.split(",")]
    file_with(b"\xa5" * 2 * MIB, out)
    result = traced("copy", "--json", "--chunk=64K", "--require=no-user-copy", *extra, inject=rules,
                    trace=call, **source)
    result.refused(3, r"requir|no-user-copy")
    ledger = result.ledger()
    same_bytes(content(out), data[:ledger["delivered"]], f"delivered before the refusal, {call}")
    check(ledger["delivered"] < MIB, f"{call}: all was delivered")
    check(all(leg["class"] != "user-copy" or leg["bytes"] == 0 for leg in ledger["legs"]),
          f"{call}: a leg crossed user memory: {ledger['legs']}")
PY
