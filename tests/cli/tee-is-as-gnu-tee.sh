#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Under the name tee the command does what GNU tee does: what arrives, the exit status, and what is said.
. "${SOURCE_ROOT:?}/tests/lib.sh"

gnu=
for candidate in /usr/bin/tee /bin/tee; do
    ! "$candidate" --version 2>/dev/null | grep -q '^tee (GNU coreutils)' || gnu=$candidate
done
[ -n "$gnu" ] || skip "no GNU tee to compare with"
mkdir "$T/bin"
ln -s "$SLUICE" "$T/bin/tee"

random_file 300K "$T/input"
printf 'a line\n' >"$T/short"

# In a directory of its own, each of the two: the function `scene` with the program as $tee. What it leaves
# there, its status and its words are compared.
#     same NAME COMMAND…
same() {
    local name=$1 which program
    shift
    for which in gnu own; do
        program=$gnu
        [ "$which" = gnu ] || program=$T/bin/tee
        rm -rf "${T:?}/$which"
        mkdir "$T/$which"
        (
            trap - ERR
            set +eE
            cd "$T/$which" || exit
            tee=$program
            "$@" >.stdout 2>.stderr
            echo "status $?" >.status
        )
        # The program's own name, and quotes as of the C locale.
        sed -i "s|^$program: |tee: |; s|$program|tee|g" "$T/$which/.stderr"
    done
    diff -r "$T/gnu" "$T/own" >&2 || fail "$name: GNU tee's (<) and ours (>) differ"
}

to_nothing() { "$tee" <"$T/input"; }
to_files() { "$tee" one two <"$T/input"; }
from_a_pipe() { cat "$T/input" | "$tee" one two; }
over_what_is_there() { cp "$T/input" one && "$tee" one <"$T/short"; }
appending() { cp "$T/input" one && "$tee" -a one two <"$T/short"; }
appending_long() { cp "$T/short" one && "$tee" --append one <"$T/input"; }
to_append_stdout() { "$tee" one <"$T/input" >>out; }
the_same_twice() { "$tee" one one <"$T/input"; }
the_same_twice_appending() { "$tee" -a one one <"$T/short"; }
a_dash() { "$tee" - <"$T/short"; }
names_like_addresses() { "$tee" null: fd:1 'a,slow=drop' <"$T/short"; }
after_options() { "$tee" -- -a <"$T/short"; }
options_last() { "$tee" one -a <"$T/short"; }
nothing_comes() { "$tee" one </dev/null; }
a_directory() { "$tee" . one <"$T/short"; }
no_such_directory() { "$tee" none/one two <"$T/short"; }
no_such_directory_exit() { "$tee" --output-error=exit none/one two <"$T/short"; }
no_such_directory_warn() { "$tee" --output-error=warn none/one two <"$T/short"; }
a_name_to_quote() { "$tee" 'none/a b' "none/it's" '' <"$T/short"; }
a_full_device() { "$tee" /dev/full one <"$T/short"; }
a_full_device_exit() { "$tee" --output-error=exit /dev/full one <"$T/short"; }
a_full_device_long() { "$tee" /dev/full one <"$T/input"; }
stdout_full() { "$tee" one <"$T/short" >/dev/full; }
stdout_full_nopipe() { "$tee" -p one <"$T/input" >/dev/full; }
stdout_closed() { "$tee" one <"$T/short" >&-; }
stdout_closed_exit() { "$tee" --output-error=exit one <"$T/short" >&-; }
stdin_closed() { "$tee" one <&-; }
all_closed() { "$tee" one <&- >&-; }
stdin_a_directory() { "$tee" one <.; }
stdin_write_only() { "$tee" one 0>write-only; }
stdout_read_only() { "$tee" one <"$T/short" 1<"$T/short"; }
broken_pipe() { (cat "$T/input" && sleep 0.1 && cat "$T/input") | ("$tee" one 2>err; echo "$?" >status) | : ; }
broken_pipe_p() { (sleep 0.2 && cat "$T/input") | ("$tee" -p one; echo "$?" >status) | :; }
broken_pipe_warn() { (sleep 0.2 && cat "$T/input") | ("$tee" --output-error=warn one; echo "$?" >status) | :; }
broken_pipe_exit() { (sleep 0.2 && cat "$T/short") | ("$tee" --output-error=exit one; echo "$?" >status) | :; }
broken_pipe_exit_nopipe() {
    (sleep 0.2 && cat "$T/input") | ("$tee" --output-error=exit-nopipe one; echo "$?" >status) | :
}
broken_pipe_ignored() {
    (trap '' PIPE && sleep 0.2 && cat "$T/input") | (trap '' PIPE && "$tee" one; echo "$?" >status) | :
}
abbreviated() { "$tee" --output-error=warn-n one <"$T/short"; }
help_is_asked_for() { "$tee" one --he <"$T/short" >/dev/null; }
help_to_a_full_device() { "$tee" --help >/dev/full; }
help_to_nowhere() { "$tee" one --help >&-; }
version_is_asked_for() { "$tee" -a one --ver <"$T/short" >/dev/null; }
version_to_a_full_device() { "$tee" --version >/dev/full; }
version_to_nowhere() { "$tee" --version >&-; }
options_unknown() {
    "$tee" -ax one <"$T/short"
    "$tee" one --bogus <"$T/short"
    "$tee" --append=1 one <"$T/short"
    "$tee" --help=1 one <"$T/short"
}
open_errors_come_first() { "$tee" none/one two <&-; }
open_errors_come_first_exit() { "$tee" --output-error=exit none/one two 0>write-only; }
names_that_command_a_terminal() {
    local locale name
    for locale in C C.UTF-8; do
        for name in $'a\e[31mb' $'tab\there' $'\nline' $'a\177' $'\303\251' $'\377' $'\302\205' $'\302' \
            'a:b' 'a!b' '#a' '~a' 'a#~' '{' '}' '{a' '^' 'a[b]' 'a\b' '-x' 'a=b' "it's" "it's a" "it's {" \
            'it'\''s "q"' '"q"' '$a' ''; do
            mkdir -p -- "./$name"
            LC_ALL=$locale "$tee" -- "$name" "none/$name" </dev/null
        done
    done
}
interrupted() {
    (sleep 0.3 && cat "$T/short") | (exec env --default-signal=INT "$tee" one) &
    sleep 0.15
    pkill -INT -P $$ -x tee 2>/dev/null
    wait
}

for scene in to_nothing to_files from_a_pipe over_what_is_there appending appending_long to_append_stdout \
    the_same_twice the_same_twice_appending a_dash names_like_addresses after_options options_last \
    nothing_comes a_directory no_such_directory no_such_directory_exit no_such_directory_warn \
    a_name_to_quote a_full_device a_full_device_exit a_full_device_long stdout_full stdout_full_nopipe \
    stdout_closed stdout_closed_exit stdin_closed all_closed stdin_a_directory stdin_write_only \
    stdout_read_only broken_pipe_p broken_pipe_warn broken_pipe_exit broken_pipe_exit_nopipe \
    broken_pipe_ignored abbreviated help_is_asked_for help_to_a_full_device help_to_nowhere \
    version_is_asked_for version_to_a_full_device version_to_nowhere options_unknown \
    open_errors_come_first open_errors_come_first_exit names_that_command_a_terminal; do
    same "$scene" "$scene"
done
