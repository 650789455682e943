#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A method that was asked for by name and cannot serve the pair is refused before a byte moves: the
# message names it, an existing sink is as it was, and an absent one is not made.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import integrity

places = file_systems()
sources, sinks = integrity.sources(places), integrity.sinks(places)
refused = [integrity.Case(source, sink, method, 4097, before=before)
           for source in sources for sink in sinks for method in METHODS
           if integrity.fits(method, source, sink) is False
           for before in (("absent", "longer") if sink.has("path") else ("longer",))]
# One of each kind of file is enough here, and the rest with TEST_ALL.
if not ALL:
    files = list(places)[1:]
    refused = [case for case in refused
               if case.source.name not in files and case.sink.name not in files]


class Refusal(integrity.Case):
    def run(self, directory):
        super().run(directory, expect_refusal=True)


for case in refused:
    case.__class__ = Refusal
count = integrity.run_cases(refused)
note(f"{count} refusals")
check(count > 100, f"only {count} cases were run")
PY
