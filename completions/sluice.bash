# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Completion of sluice(1) in bash. It needs nothing but bash.

_sluice_copy_options="--rate= --size= --offset= --length= --append --method= --require= --reflink=
    --sparse= --snapshot --chunk= --pipe-size= --idle-timeout= --linger= --atomic --salvage= --checksum= --cache= --readahead= --resume --sync --verify --progress --numeric
    --quiet --verbose --stats --json --help -L -s -p -n -q -v -h"
_sluice_explain_options="--offset= --length= --append --method= --require= --reflink=
    --sparse= --cache= --snapshot --chunk= --pipe-size=
    --json --help -h"
_sluice_bench_options="--quick --full --time= --only= --method= --chunk= --rounds= --size= --disk= --to= --peer= --json --html=
    --quiet
    --help -q -h"
_sluice_bench_paths="file-tcp file-pipe file-file tcp-file tcp-tcp pipe-file memory-tcp memory-pipe file-unix pipe-tcp
    pipe-pipe tcp-pipe unix-file unix-unix memory-unix memory-file file-memory pipe-memory tcp-memory unix-memory broker"
_sluice_bench_methods="read-write write mmap-write sendfile splice copy-range reflink vmsplice msg-zerocopy send-zc direct
    read mmap vmsplice-in zerocopy-receive aio io_uring"
_sluice_probe_options="--explain= --json --diff --through= --scratch-device= --cached --no-cache --quiet --help -q -h"
_sluice_tee_options="--append --ignore-interrupts --output-error --from= --slow= --lag= --lag-pipes= --spill-slow= --spill-most= --rate= --pipe-size=
    --linger= --require= --checksum= --progress --quiet --stats --json --help -a -i -L -q -h"
_sluice_relay_options="--threads= --balance= --targets= --rate= --rate-all= --connect-timeout= --idle-timeout=
    --drain-timeout= --drain-delay= --max-connections= --backlog= --tap= --allow= --deny= --access= --accept-proxy --trust= --send-proxy=
    --metrics= --agent-check= --user= --sandbox= --log-format= --quiet --verbose --help -t -L -q -v -h"

# The same for what sluice bench calls otherwise; `--size` and `--chunk` are as everywhere.
_sluice_bench_argument() {
    case $1 in
    --only) echo "$_sluice_bench_paths" ;;
    --method) echo "$_sluice_bench_methods" ;;
    --disk | --html) echo "FILE" ;;
    --time | --rounds | --to | --peer) echo ;;
    --json) return 1 ;;
    *) _sluice_argument "$1" ;;
    esac
}

# What an option's argument can be: words; "FILE"; or nothing that could be proposed. False: it has
# none.
_sluice_argument() {
    case $1 in
    --method) echo "auto reflink copy-range sendfile splice mmap-write read-write direct" ;;
    --require) echo "any no-user-copy zero-copy" ;;
    --cache) echo "keep drop bypass" ;;
    --readahead) echo "auto always never" ;;
    --reflink | --sparse) echo "auto always never" ;;
    --checksum) echo "xxh3 sha256" ;;
    --atomic) echo "yes no" ;;
    --json) echo "lines" ;;
    --resume) echo "continue" ;;
    --output-error) echo "warn warn-nopipe exit exit-nopipe" ;;
    --slow) echo "wait drop detach spill=" ;;
    --spill-slow) echo "wait drop detach" ;;
    --lag | --lag-pipes | --spill-most) echo ;;
    --from) echo "FILE" ;;
    --offset) echo "source= sink=" ;;
    --salvage) echo "FILE" ;;
    --balance) echo "round-robin least-connections" ;;
    --targets | --access) echo "FILE" ;;
    --send-proxy) echo "v1 v2" ;;
    --sandbox) echo "auto always never" ;;
    --log-format) echo "text json" ;;
    --allow | --deny | --trust | --metrics | --agent-check | --user) echo ;;
    --threads | --rate-all | --connect-timeout | --drain-timeout | --drain-delay | --max-connections | --backlog | -t) echo ;;
    --explain | --through) echo ;;
    --scratch-device) echo "FILE" ;;
    --rate | --size | --length | --chunk | --pipe-size) echo ;;
    --idle-timeout | --linger | -L | -s) echo ;;
    *) return 1 ;;
    esac
}

# The words that begin with what was typed. readline has split it at "=" and ":", and wants only
# what follows the last of them.
_sluice_propose() {
    local typed=$1 words=$2 word
    local before=${typed%"${typed##*[=:]}"}
    [[ $COMP_WORDBREAKS == *[=:]* ]] || before=
    COMPREPLY=()
    for word in $words; do
        [[ $word != "$typed"?* ]] || COMPREPLY+=("${word#"$before"}")
    done
    # What ends in "=" or ":" goes on after it.
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=:] ]]; then
        compopt -o nospace
    fi
}

# The argument of an option; `typed` is that much of it, and `option` is put before the proposals.
_sluice_propose_argument() {
    local words=$1 option=$2 typed=$3 word proposals=
    [ "$words" != FILE ] || return 0 # by readline itself, which knows about quotes
    compopt +o default +o bashdefault
    for word in $words; do
        proposals+=" $option$word"
    done
    _sluice_propose "$option$typed" "$proposals"
}

# A name of an endpoint: the words for what is no path, and files where such a word can be one.
_sluice_propose_endpoint() {
    local typed=$1 schemes="tcp: tcp-listen: unix: unix-listen: fd: file: null: zero:"
    [ "$2" != explain ] || schemes+=" pipe:"
    [ "$2" != relay ] || schemes="tcp: unix: fd: listen-fds"
    case $typed in
    "") return 0 ;;
    tcp:* | tcp-listen:* | fd:* | null:* | zero:* | pipe:*)
        compopt +o default +o bashdefault
        return 0
        ;;
    esac
    _sluice_propose "$typed" "$schemes"
    if [ ${#COMPREPLY[@]} -gt 0 ]; then
        local file
        while IFS= read -r file; do
            COMPREPLY+=("$file")
            compopt +o nospace
        done < <(compgen -f -- "$typed" || true)
    fi
}

_sluice() {
    local line=${COMP_LINE:0:COMP_POINT} words typed previous command argument
    read -ra words <<<"$line"
    typed=
    [[ $line == *[[:space:]] ]] || {
        typed=${words[-1]}
        unset 'words[-1]'
    }
    COMPREPLY=()
    command=${words[1]:-}
    previous=${words[-1]}

    if [ ${#words[@]} -eq 1 ]; then
        compopt +o default +o bashdefault
        _sluice_propose "$typed" "copy explain probe tee relay bench --help --version"
        return
    fi
    local argument_of=_sluice_argument
    case $command in
    copy) local options=$_sluice_copy_options ;;
    explain) local options=$_sluice_explain_options ;;
    probe) local options=$_sluice_probe_options ;;
    tee) local options=$_sluice_tee_options ;;
    relay) local options=$_sluice_relay_options ;;
    bench) local options=$_sluice_bench_options argument_of=_sluice_bench_argument ;;
    *)
        compopt +o default +o bashdefault
        return
        ;;
    esac
    if [[ $typed == --*=* ]] && argument=$($argument_of "${typed%%=*}"); then
        _sluice_propose_argument "$argument" "${typed%%=*}=" "${typed#*=}"
    elif [[ $previous == -* && $previous != --atomic && $previous != --json &&
        $previous != --output-error ]] &&
        argument=$($argument_of "$previous"); then
        _sluice_propose_argument "$argument" "" "$typed"
    elif [[ $typed == -* ]]; then
        compopt +o default +o bashdefault
        _sluice_propose "$typed" "$options"
    elif [[ $command != probe && $command != bench ]]; then
        _sluice_propose_endpoint "$typed" "$command"
    fi
}

complete -o bashdefault -o default -F _sluice sluice
