#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every option that --help has is completed in bash, zsh and fish and stands in the manual, and the
# completions have no other; and what bash proposes is what the command takes.
. "${SOURCE_ROOT:?}/tests/lib.sh"

bash_file=$SOURCE_ROOT/completions/sluice.bash
zsh_file=$SOURCE_ROOT/completions/_sluice
fish_file=$SOURCE_ROOT/completions/sluice.fish

# "--rate -L", an option a line: the long name, then the letter if there is one.
options_of() {
    sluice "$1" --help | sed -nE 's/^  (-(.), | {4})--([a-z-]+).*/--\3 -\2/p' | sed 's/ -$//'
}

# shellcheck source=/dev/null
. "$bash_file"

for command in copy explain probe tee relay bench; do
    options_of "$command" >"$T/$command"
    [ "$(wc -l <"$T/$command")" -ge 8 ] || fail "few options in the help of $command"
    variable=_sluice_${command}_options
    tr ' ' '\n' <"$T/$command" | sort -u >"$T/wanted"
    tr -s ' \n' '\n' <<<"${!variable}" | sed 's/=$//' | sort -u >"$T/proposed"
    diff "$T/wanted" "$T/proposed" >&2 || fail "bash does not propose the options of $command"
    while read -r long letter; do
        grep -qE -- "(\{|,|[\"']\*?|\()${long}(=|\[|\}|')" "$zsh_file" || fail "zsh has no $long"
        grep -qE -- "-l ${long#--}( |$)" "$fish_file" || fail "fish has no $long"
        grep -q -- "\*$long\*" "$SOURCE_ROOT/man/sluice-$command.1.scd" ||
            [ "$long" = --help ] || fail "sluice-$command(1) has no $long"
        [ -z "$letter" ] || grep -qE -- "-s ${letter#-} " "$fish_file" || fail "fish has no $letter"
        [ -z "$letter" ] || grep -qE -- "\{${letter}[+,]" "$zsh_file" || fail "zsh has no $letter"
    done <"$T/$command"
done

cut -d ' ' -f 1 "$T/copy" "$T/explain" "$T/probe" "$T/tee" "$T/relay" "$T/bench" | sort -u >"$T/all"
{
    grep -oE -- '--[a-z-]+(=|\[|\})' "$zsh_file" | tr -d '[=}'
    grep '^complete' "$fish_file" | grep -oE -- ' -l [a-z-]+' | sed 's/ -l /--/'
} | sort -u | grep -vx -- --version >"$T/completed"
diff "$T/all" "$T/completed" >&2 || fail "zsh or fish proposes what is no option"

# ---- what bash proposes ----

compopt() {
    :
}

#     proposes 'sluice copy --method=sp' splice
proposes() {
    # shellcheck disable=SC2034 # for the completion
    COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
    COMPREPLY=()
    _sluice
    [ "${COMPREPLY[*]}" = "$2" ] || fail "'$1' proposes '${COMPREPLY[*]}', not '$2'"
}

cd "$T"
proposes 'sluice ' 'copy explain probe tee relay bench --help --version'
proposes 'sluice ex' 'explain'
proposes 'sluice probe --no' '--no-cache'
proposes 'sluice tee --output-error=warn-' 'warn-nopipe'
proposes 'sluice tee --slow=d' 'drop detach'
proposes 'sluice copy --meth' '--method='
proposes 'sluice copy --method=sp' 'splice'
proposes 'sluice copy --method s' 'sendfile splice'
proposes 'sluice copy --offset=si' 'sink='
proposes 'sluice copy --rate ' ''
proposes 'sluice copy --json --st' '--stats'
proposes 'sluice copy tcp' 'tcp: tcp-listen:'
proposes 'sluice copy tcp-listen:' ''
proposes 'sluice copy pi' ''
proposes 'sluice explain pi' 'pipe:'
proposes 'sluice explain --sta' ''
proposes 'sluice bench --only=file-' 'file-tcp file-pipe file-file file-unix file-memory'
proposes 'sluice bench --method send' 'sendfile send-zc'
proposes 'sluice bench f' ''

random_file 1K in
for method in $(_sluice_argument --method); do
    sluice explain --method="$method" in out >/dev/null 2>"$T/stderr" || [ $? -ne 2 ] ||
        fail "'$method' is proposed and not taken: $(cat "$T/stderr")"
done
for what in $(_sluice_argument --require); do
    sluice explain --require "$what" in out >/dev/null 2>"$T/stderr" || [ $? -ne 2 ] ||
        fail "'$what' is proposed and not taken"
done
# sluice bench says itself which paths and methods it knows.
sluice bench --help >"$T/bench-help"
for what in paths methods; do
    variable=_sluice_bench_$what
    tr -s ' \n' '\n' <<<"${!variable}" >"$T/proposed"
    sed -n "/^$what: /,/^[a-z]*: /p" "$T/bench-help" |
        sed "s/^$what: //; /^methods: /d" | tr -s ' ' '\n' | grep -v '^$' >"$T/wanted"
    diff "$T/wanted" "$T/proposed" >&2 || fail "bash does not propose the $what of sluice bench"
    while read -r word; do
        grep -qE -- "[' ]$word[' ]" "$zsh_file" || fail "zsh has no $word"
        grep -qE -- "[' ]$word[' ]" "$fish_file" || fail "fish has no $word"
        grep -q -- "$word" "$SOURCE_ROOT/man/sluice-bench.1.scd" || fail "the manual has no $word"
    done <"$T/wanted"
done
