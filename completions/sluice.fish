# SPDX-License-Identifier: MIT
# Completion of sluice(1) in fish.

function __sluice_needs_command
    set -l words (commandline -opc)
    test (count $words) -eq 1
end

function __sluice_in
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end

# What is no path; paths are completed by fish itself.
function __sluice_schemes
    printf '%s\t%s\n' tcp: 'connect to HOST:PORT' tcp-listen: 'listen on [HOST:]PORT' \
        unix: 'connect to the UNIX socket PATH' unix-listen: 'listen on the UNIX socket PATH' \
        fd: 'a descriptor that was inherited' file: 'a file whose name would be mistaken' \
        null: 'drops all, has nothing' zero: 'has zeros without end'
    __sluice_in explain; and printf 'pipe:\ta pipe, whichever\n'
    return 0
end

set -l both -c sluice -n '__sluice_in copy explain'
set -l copy -c sluice -n '__sluice_in copy'

complete -c sluice -n __sluice_needs_command -f
complete -c sluice -n __sluice_needs_command -a copy -d 'Move bytes from one endpoint to another'
complete -c sluice -n __sluice_needs_command -a explain -d 'Show by which method, and why'
complete -c sluice -n __sluice_needs_command -a probe -d 'Measure which legs are free of copies'
complete -c sluice -n __sluice_needs_command -a tee -d 'Move one input to many sinks'
complete -c sluice -n __sluice_needs_command -a relay -d 'Accept connections, and pass them on'
complete -c sluice -n __sluice_needs_command -s V -l version -d 'Print the version and features'
complete -c sluice -n __sluice_needs_command -a bench -d 'Measure what each method costs'
complete -c sluice -s h -l help -d 'Print the options'

complete $both -a '(__sluice_schemes)'

complete $both -l offset -x -d 'Begin at a byte of the source or the sink' -a 'source= sink='
complete $both -l length -x -d 'Move exactly N bytes'
complete $both -l append -d 'Add to the end of the sink'
complete $both -l method -x -d 'How every byte is moved' \
    -a 'auto reflink copy-range sendfile splice mmap-write read-write direct'
complete $both -l require -x -a 'any no-user-copy zero-copy' -d 'Refuse what does not meet it'
complete $both -l reflink -x -a 'auto always never' -d 'Share extents'
complete $both -l sparse -x -a 'auto always never' -d 'Holes'
complete $both -l cache -x -a 'keep drop bypass' -d 'The page cache'
complete $both -l snapshot -d 'Bytes do not change once they are taken'
complete $both -l chunk -x -d 'Most bytes a call is asked to move'
complete $both -l pipe-size -x -d 'Capacity asked for a private pipe'
complete $both -l json -d 'The ledger or the plan as JSON'

complete $copy -l json=lines -d 'A JSON object a line'
complete $copy -s L -l rate -x -d 'At most so many bytes a second'
complete $copy -s s -l size -x -d 'How much is expected, for the progress display'
complete $copy -l idle-timeout -x -d 'Fail when no byte has moved for so long'
complete $copy -l linger -x -d 'Wait so long for the peer of a socket sink to end'
complete $copy -l atomic -d 'The sink appears whole or not at all'
complete $copy -l atomic=no -d 'Write an absent sink in place'
complete $copy -l salvage -r -F -d 'Keep bytes that were taken and not delivered'
complete $copy -l readahead -x -a 'auto always never' -d 'Ask for a cold source ahead of the cursor'
complete $copy -l resume -d 'Keep what a failure leaves, and go on from there'
complete $copy -l resume=continue -d 'The source stands at the next unread byte'
complete $copy -l sync -d 'End only when the sink is on its device'
complete $copy -l verify -d 'Read the sink back, and compare'
complete $copy -l checksum -x -a 'xxh3 sha256' -d 'Of the delivered bytes'
complete $copy -s p -l progress -d 'Show progress also off a terminal'
complete $copy -s n -l numeric -d 'Progress as a number a line'
complete $copy -s q -l quiet -d 'No progress, no notices'
complete $copy -s v -l verbose -d 'Print the plan before moving'
complete $copy -l stats -d 'Print the ledger at the end'

set -l probe -c sluice -n '__sluice_in probe'
complete $probe -l explain -x -d 'All the evidence for one leg'
complete $probe -l json -d 'One JSON object'
complete $probe -l diff -r -F -d 'Compare two outputs of --json'
complete $probe -l through -x -d 'Measure TCP on a connection of mine'
complete $probe -l scratch-device -r -F -d 'Measure on this block device; what is on it is lost'
complete $probe -l cached -d 'Show what is kept'
complete $probe -l no-cache -d 'Do not keep what is found'
complete $probe -s q -l quiet -d 'No notices'

set -l tee -c sluice -n '__sluice_in tee'
complete $tee -a '(__sluice_schemes)'
complete $tee -s a -l append -d 'Add to the end of files'
complete $tee -s i -l ignore-interrupts -d 'Ignore SIGINT'
complete $tee -s p -d 'The same as --output-error'
complete $tee -l output-error -d 'What an error of a sink leads to'
complete $tee -l output-error=warn -d 'Say it, and go on'
complete $tee -l output-error=warn-nopipe -d 'The same, but for broken pipes'
complete $tee -l output-error=exit -d 'Say it, and end'
complete $tee -l output-error=exit-nopipe -d 'The same, but for broken pipes'
complete $tee -l from -r -F -d 'Read this instead of standard input'
complete $tee -l slow -x -a 'wait drop detach spill=' -d 'What to do about slow sinks'
complete $tee -l lag -x -d 'A sink is slow when it lags so far'
complete $tee -l lag-pipes -x -d 'Or in so many pipes'
complete $tee -l spill-slow -x -a 'wait drop detach' -d 'What to do about slow spill files'
complete $tee -l spill-most -x -d 'Most bytes of a spill file'
complete $tee -s L -l rate -x -d 'At most so many bytes a second'
complete $tee -l pipe-size -x -d 'Capacity asked for each private pipe'
complete $tee -l linger -x -d 'Wait so long for slow sinks and peers at the end'
complete $tee -l require -x -a 'any no-user-copy zero-copy' -d 'Refuse what does not meet it'
complete $tee -l checksum -x -a 'xxh3 sha256' -d 'Of all that was read'
complete $tee -l progress -d 'Show progress'
complete $tee -s q -l quiet -d 'No progress, no notices'
complete $tee -l stats -d 'Print what became of each sink'
complete $tee -l json -d 'The same as JSON'

set -l relay -c sluice -n '__sluice_in relay'
complete $relay -f -a 'tcp: unix: fd: listen-fds'
complete $relay -s t -l threads -x -d 'Loops, one a core at most'
complete $relay -l balance -x -a 'round-robin least-connections' -d 'Which target is next'
complete $relay -l targets -r -F -d 'More targets, one a line'
complete $relay -s L -l rate -x -d 'Bytes a second of each connection'
complete $relay -l rate-all -x -d 'Bytes a second of all together'
complete $relay -l connect-timeout -x -d 'For connecting to a target'
complete $relay -l idle-timeout -x -d 'End a connection that moved no byte so long'
complete $relay -l drain-timeout -x -d 'After SIGTERM, for those that live'
complete $relay -l drain-delay -x -d 'After SIGTERM, accept so long while saying that it drains'
complete $relay -l max-connections -x -d 'At once'
complete $relay -l backlog -x -d 'Connections that may wait to be accepted'
complete $relay -l tap -r -F -d 'Write what is relayed there as well'
complete $relay -l allow -x -d 'Let these clients in, and no others'
complete $relay -l deny -x -d 'Keep these clients out'
complete $relay -l access -r -F -d 'Lines with allow and deny'
complete $relay -l accept-proxy -d 'Clients send a PROXY header first'
complete $relay -l trust -x -d 'Whose PROXY headers are believed'
complete $relay -l send-proxy -x -a 'v1 v2' -d 'Send targets a PROXY header first'
complete $relay -l metrics -x -d 'Answer HTTP there'
complete $relay -l agent-check -x -d 'Answer the agent-check of HAProxy there'
complete $relay -l user -x -a '(__fish_complete_users)' -d 'Become this user'
complete $relay -l sandbox -x -a 'auto always never' -d 'Give up what is not needed'
complete $relay -l log-format -x -a 'text json' -d 'Of the log'
complete $relay -s q -l quiet -d 'Log errors only'
complete $relay -s v -l verbose -d 'Log each connection'

set -l bench -c sluice -n '__sluice_in bench'
complete $bench -l quick -d 'In under a minute'
complete $bench -l full -d 'Every path, size and state of the cache'
complete $bench -l time -x -d 'Take so long'
complete $bench -l only -x -d 'This path alone' \
    -a 'file-tcp file-pipe file-file tcp-file tcp-tcp pipe-file memory-tcp memory-pipe file-unix pipe-tcp pipe-pipe tcp-pipe unix-file unix-unix memory-unix memory-file file-memory pipe-memory tcp-memory unix-memory broker'
complete $bench -l method -x -d 'This method alone' \
    -a 'read-write write mmap-write sendfile splice copy-range reflink vmsplice msg-zerocopy send-zc direct read mmap vmsplice-in zerocopy-receive aio io_uring'
complete $bench -l chunk -x -d 'Calls of this size alone'
complete $bench -l rounds -x -d 'At most so many rounds'
complete $bench -l size -x -d 'Of the files, and of a run at most'
complete $bench -l disk -x -a '(__fish_complete_directories)' -d 'Where the files are made'
complete $bench -l to -x -d 'TCP leads to another machine'
complete $bench -l peer -x -d 'Take and give bytes for such a one'
complete $bench -l json -d 'One JSON object'
complete $bench -l html -r -F -d 'Also a page with charts'
complete $bench -s q -l quiet -d 'No progress, no notices'
