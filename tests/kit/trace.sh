#!/usr/bin/env bash
# make trace-NN: the experiment of lab NN under strace(1). Of its output only the titles of the steps are shown, and of
# the system calls of all its processes those that the lab teaches.
#
#     tests/kit/trace.sh PROGRAM [STEP]       STEP: this step alone
set -euo pipefail
. tests/kit/kit.bash # for TMPDIR
only=()
program=$1 step=${2:-}
number=${program##*/}
number=${number%%_*}
groups='write\([0-9]+<[^>]*cgroup[^>]*/|(mkdir|rmdir)\("/.*cgroup' # a group is a directory, and each setting of it a file
commands='execve\("[^"]*/(ip|bridge|brctl|iptables|sysctl|ping)"|unshare|setns'
case $number in
01) calls=chroot,chdir,fchdir,pivot_root shown=. ;;
02) calls=mount,umount2,symlink,symlinkat,chroot shown=. ;;
03) calls=unshare,clone3,setns,mount,sethostname,setgroups,setgid,setuid shown='mount\(|unshare|clone3\(.*CLONE_NEW|set|write\([0-9]+<.*(_map|timens_offsets)>' ;;
04) calls=setns,pidfd_open,unshare,setgroups,setgid,setuid shown=. ;;
05 | 06) calls=mkdir,rmdir,write shown=$groups ;;
07 | 08) calls=execve,unshare,setns shown=$commands only=(-z) ;; # not each directory of PATH that has no ip
09) calls=clone3,mkdir,write,setns,unshare,mount,umount2,pivot_root,sethostname,capset,prctl,seccomp
    shown="$groups|clone3\(.*CLONE_NEW|(setns|unshare|mount|umount2|pivot_root|sethostname|capset|seccomp)\(|PR_(SET_NO_NEW_PRIVS|CAPBSET_DROP)" ;;
*) echo "trace.sh: $program is not one of the labs 01 to 09" >&2; exit 2 ;;
esac
# The titles are what the lab writes to its stdout. Before the first step it prepares its run.
log=$(mktemp)
trap 'rm "$log"' EXIT
status=0
strace -f -y -qq "${only[@]}" -s 200 -e signal=none -e "trace=write,$calls" -o "$log" "$program" >/dev/null || status=$?
STEP=$step SHOWN="$shown" awk '
    match($0, /write\(1<[^>]*>, "\[[0-9]+\] step [0-9]+ /) {
        split($0, part, /" *|\\n"/); split(part[2], word, " ")
        wanted = ENVIRON["STEP"] == "" || word[3] == ENVIRON["STEP"]
        if (wanted) print "\n" part[2]
        next
    }
    wanted && $0 !~ /write\([12]</ && $2 ~ /^[a-z0-9_]+\(/ && $0 ~ ENVIRON["SHOWN"] {
        sub(/, 0x[0-9a-f]+ \/\* [0-9]+ vars \*\//, "")
        sub(/ +<unfinished \.\.\.>$/, " ...")
        print "    " $0
    }' "$log"
exit "$status"
