# Shared by the four hooks. A hook writes one event beside its place in the spool. In the background the
# event is renamed into place and posted. If the post fails, the forwarder finds the event in the spool
# and sends it later. While the spool's disk is full, the files are in the fallback folder, in memory.
# A hook waits for as few programs as it can, because each of them waits for a CPU on a busy node. There
# are two: `date` (not needed where sh is bash 5) and `setsid`.
# POSIX sh. Slurm gives a hook only SLURM_* and no PATH. Slurm commands are forbidden in hooks: they can
# dead-lock the controller.

PATH=/usr/bin:/bin:/usr/sbin:/sbin LC_ALL=C
export PATH LC_ALL
umask 077
set -f # a job named `*` must not expand to file names
. "$hooks/json.sh"

started() { # started SOURCE ROLE
    begin "$2" || return 0
    nodes
    text node "$SLURMD_NODENAME"
    count_cpus "$SLURM_JOB_CPUS_PER_NODE"
    number cpu_allocation "$cpus"
    cpus_per_node
    list_gpus
    text partition "$SLURM_JOB_PARTITION"
    text account "$SLURM_JOB_ACCOUNT"
    text name "$SLURM_JOB_NAME"
    text array_job_id "$SLURM_ARRAY_JOB_ID"
    text array_task_id "$SLURM_ARRAY_TASK_ID"
    number restart_count "$SLURM_JOB_RESTART_COUNT"
    text source "$1"
    [ "$1" = prolog ] && write_record
    submit started
}

finished() { # finished SOURCE ROLE
    begin "$2" || return 0
    outcome
    text final_state "$final_state"
    number exit_code "$exit_code"
    number signal "$signal"
    nodes
    text node "$SLURMD_NODENAME"
    number restart_count "$SLURM_JOB_RESTART_COUNT"
    text source "$1"
    # Also if there is none yet: the Prolog of a very short job may not have renamed it into place.
    [ "$1" = epilog ] && record=$spool/jobs/$SLURM_JOB_ID.json other=$fallback/jobs/$SLURM_JOB_ID.json
    submit finished
}

begin() { # begin ROLE: reads the configuration, and sets the fields that every event has
    # The id becomes a part of file names.
    case $SLURM_JOB_ID in '' | *[!0-9]*) return 1 ;; esac
    configure "${HPCOBS_CONFIG:-/etc/hpcobs/$1.conf}"
    spool=${HPCOBS_SPOOL_DIR:-/var/lib/hpcobs/$1}
    fallback=${HPCOBS_FALLBACK_DIR:-/run/hpcobs/$1} fallback=${fallback%/}
    token_file=${HPCOBS_TOKEN_FILE:-/etc/hpcobs/$1.token}
    read_clock || return 1
    body= record= other=
    text job_id "$SLURM_JOB_ID"
    text user "${SLURM_JOB_USER:-$SLURM_JOB_UID}"
    text timestamp "$timestamp"
    text cluster_name "${HPCOBS_CLUSTER_NAME:-$SLURM_CLUSTER_NAME}"
}

configure() { # reads KEY=VALUE lines; the environment has precedence
    # Not by `.`: the daemon reads the file too, and it is no shell code.
    [ -r "$1" ] || return 0
    while read -r line || [ -n "$line" ]; do
        value=${line#*=}
        case $value in \"*\" | \'*\') value=${value#?} value=${value%?} ;; esac
        case $line in
            HPCOBS_URL=*) HPCOBS_URL=${HPCOBS_URL:-$value} ;;
            HPCOBS_TOKEN_FILE=*) HPCOBS_TOKEN_FILE=${HPCOBS_TOKEN_FILE:-$value} ;;
            HPCOBS_SPOOL_DIR=*) HPCOBS_SPOOL_DIR=${HPCOBS_SPOOL_DIR:-$value} ;;
            HPCOBS_FALLBACK_DIR=*) HPCOBS_FALLBACK_DIR=${HPCOBS_FALLBACK_DIR:-$value} ;;
            HPCOBS_CLUSTER_NAME=*) HPCOBS_CLUSTER_NAME=${HPCOBS_CLUSTER_NAME:-$value} ;;
            HPCOBS_CA_FILE=*) HPCOBS_CA_FILE=${HPCOBS_CA_FILE:-$value} ;;
            HPCOBS_CLIENT_CERT_FILE=*) HPCOBS_CLIENT_CERT_FILE=${HPCOBS_CLIENT_CERT_FILE:-$value} ;;
            HPCOBS_PROXY=*) HPCOBS_PROXY=${HPCOBS_PROXY:-$value} ;;
            HPCOBS_HOOK_POST=*) HPCOBS_HOOK_POST=${HPCOBS_HOOK_POST:-$value} ;;
        esac
    done <"$1"
}

read_clock() { # sets `timestamp` (RFC 3339, UTC) and `milliseconds` since the epoch
    if [ -n "$BASH_VERSION" ] && [ -n "$EPOCHREALTIME" ]; then
        now=$EPOCHREALTIME
        fraction=${now#*.} now=${now%.*} fraction=${fraction%???}
        TZ=UTC0 printf -v timestamp '%(%Y-%m-%dT%H:%M:%S)T' "$now"
        timestamp=$timestamp.${fraction}Z milliseconds=$now$fraction
        return
    fi
    set -- $(date -u '+%s %Y-%m-%dT%H:%M:%S %N' 2>/dev/null)
    [ -n "$2" ] || return 1
    case $3 in
        [0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]) fraction=${3%??????} ;;
        *) fraction=000 ;; # this `date` does not support %N
    esac
    timestamp=$2.${fraction}Z milliseconds=$1$fraction
}

cpus_per_node() { # adds Slurm's list of CPUs per node, at any length
    [ -n "$cpus" ] || return 0
    long_text cpus_per_node "$SLURM_JOB_CPUS_PER_NODE"
}

long_text() { # long_text NAME VALUE: adds a string of any length, unless it is empty
    [ -n "$2" ] || return 0
    json_quote "$2"
    body=$body,\"$1\":$quoted
}

text() { # text NAME VALUE: adds a string of at most 255 characters, unless it is empty or `(null)`
    case $2 in '' | '(null)') return ;; esac
    json_quote "$2" 255 # the contract's limit, while Slurm allows 1024
    body=$body${body:+,}\"$1\":$quoted
}

nodes() { # adds Slurm's compressed list of nodes, at any length
    list=${SLURM_NODELIST:-$SLURM_JOB_NODELIST}
    [ -n "$list" ] || return 0
    json_quote "$list"
    body=$body,\"node_list\":$quoted
}

number() { # number NAME VALUE: adds a number, unless VALUE is empty or no number
    case $2 in '' | *[!0-9]*) return ;; esac
    body=$body${body:+,}\"$1\":$2
}

count_cpus() { # sets `cpus` to the sum of Slurm's `4(x2),2`, or to nothing
    cpus=0
    old_ifs=$IFS IFS=,
    for group in $1; do
        times=1
        case $group in *'(x'*')') times=${group#*\(x} times=${times%\)} group=${group%%\(*} ;; esac
        case $group$times in *[!0-9]*) cpus= && break ;; esac
        cpus=$((cpus + group * times))
    done
    IFS=$old_ifs
    [ "$cpus" != 0 ] || cpus=
}

list_gpus() { # adds the job's GPUs on this node: by UUID where Slurm gives one, else by its index
    # All variables that Slurm sets name the same devices. The first has UUIDs of MIG devices, and from
    # Slurm 25.11 on of all GPUs. Slurm 20.11 sets no SLURM_JOB_GPUS.
    visible=${CUDA_VISIBLE_DEVICES:-${ROCR_VISIBLE_DEVICES:-$GPU_DEVICE_ORDINAL}}
    devices=$SLURM_JOB_GPUS
    case $visible in *GPU-* | *MIG-*) devices=$visible ;; esac
    [ -n "$devices" ] || case $visible in *[!0-9,]*) ;; *) devices=$visible ;; esac
    [ -n "$SLURMD_NODENAME" ] && [ -n "$devices" ] || return 0
    gpus=0 names=
    old_ifs=$IFS IFS=,
    for device in $devices; do
        json_quote "$device"
        gpus=$((gpus + 1)) names=$names${names:+,}$quoted
    done
    IFS=$old_ifs
    number gpu_allocation "$gpus"
    body=$body,\"gpu_devices\":[$names]
    [ -e /dev/nvidiactl ] && vendor=nvidia
    [ -e /dev/kfd ] && vendor=${vendor:+mixed} && vendor=${vendor:-amd}
    text gpu_vendor "$vendor"
}

outcome() { # sets `final_state`, `exit_code` and `signal`
    # Slurm gives epilogs 0:0 for a cancelled, timed-out or requeued job too. Only the controller role
    # can correct that.
    case $SLURM_JOB_EXIT_CODE2 in
        *[!0-9:]* | '') # an older Slurm sets only the raw wait status, or nothing
            status=$SLURM_JOB_EXIT_CODE
            case $status in *[!0-9]* | '') final_state=completed && return ;; esac
            exit_code=$((status >> 8 & 255)) signal=$((status & 127))
            ;;
        *) exit_code=${SLURM_JOB_EXIT_CODE2%%:*} signal=${SLURM_JOB_EXIT_CODE2#*:} ;;
    esac
    case $exit_code:$signal in
        0:0) final_state=completed ;;
        *:9 | *:15) final_state=cancelled ;;
        *) final_state=failed ;;
    esac
}

write_record() { # records the job's CPUs, GPUs and start for the forwarder: no kernel file shows them
    event=$body body=
    read -r uptime rest </proc/uptime
    read -r boot_id </proc/sys/kernel/random/boot_id
    text job_id "$SLURM_JOB_ID"
    text sluid "$SLURM_JOB_SLUID"
    text cluster_name "${HPCOBS_CLUSTER_NAME:-$SLURM_CLUSTER_NAME}"
    text node "$SLURMD_NODENAME"
    nodes
    long_text cpus_per_node "$SLURM_JOB_CPUS_PER_NODE"
    # A list that is cut would end in a name that looks like an abbreviated UUID.
    long_text gpus "$SLURM_JOB_GPUS"
    long_text visible_gpus "$visible"
    text slurm_conf "$SLURM_CONF"
    text uptime_seconds "$uptime"
    text boot_id "$boot_id"
    keep "jobs/$SLURM_JOB_ID.json"
    record=$kept body=$event
}

submit() { # submit KIND: writes the event, then starts `post`
    keep "events/$milliseconds-$SLURM_JOB_ID-$$.$1.json"
    file=$kept
    case $HPCOBS_HOOK_POST in [nN]* | [fF]* | 0) HPCOBS_URL= ;; esac
    # slurmd kills the hook's process group when the hook returns. So `post` runs in a new session.
    # setsid returns only after the session exists and `post` is in the background.
    HPCOBS_EVENT={$body}
    export HPCOBS_URL HPCOBS_CA_FILE HPCOBS_CLIENT_CERT_FILE HPCOBS_PROXY HPCOBS_EVENT
    set -- "$hooks/post" "job-$1" "$token_file" "$$" "$file" "$record" "$other"
    setsid /bin/sh "$@" </dev/null >/dev/null 2>&1 || /bin/sh "$@" </dev/null >/dev/null 2>&1
}

keep() { # keep NAME: writes `body` below the spool, or else below the fallback folder; sets `kept`
    kept=$spool/$1
    write "$kept" && return
    # Not if another user could have made the folder, or could plant files and links in it.
    kept=$fallback/$1
    [ -d "$fallback" ] && [ -O "$fallback" ] && [ ! -h "$fallback" ] && write "$kept" || kept=
}

write() { # write PATH: writes `body` as a JSON object beside PATH, for `post` to rename to PATH
    {
        [ -d "${1%/*}" ] || mkdir -p "${1%/*}"
        printf '{%s}\n' "$body" >"${1%/*}/.${1##*/}.$$"
    } 2>/dev/null && return 0
    rm -f "${1%/*}/.${1##*/}.$$" 2>/dev/null
    return 1
}
