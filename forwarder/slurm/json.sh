# JSON strings in POSIX sh, by built-ins only: a process for each string would slow the hook down.
# Needs LC_ALL=C, so that `?` is one byte and a range is in the order of byte values.

json_quote() { # json_quote TEXT [N]: sets `quoted` to the first N characters (or all) as a JSON string
    # Bytes that are not UTF-8 become U+FFFD.
    case $1 in
        *[!\ !#-[\]-~]*) json_escape "$1" "${2:-999999999}" ;;
        *) quoted=$1 && json_cut "${2:-${#1}}" ;;
    esac
    quoted=\"$quoted\"
}

json_cut() { # cuts `quoted`, which is plain ASCII, to $1 characters; sets `length` to what it has then
    length=${#quoted}
    [ "$length" -le "$1" ] || { quoted=$(printf "%.$1s" "$quoted") && length=$1; }
}

json_escape() { # json_escape TEXT N
    [ -n "$x80" ] || json_bytes
    rest=$1 left=$2 made=
    while [ -n "$rest" ] && [ "$left" -gt 0 ]; do
        quoted=${rest%%[!\ !#-[\]-~]*}
        rest=${rest#"$quoted"}
        json_cut "$left"
        left=$((left - length)) quoted=$made$quoted
        [ "$left" -gt 0 ] || break
        left=$((left - 1))
        case $rest in
            '') ;;
            \"*) quoted=$quoted\\\" rest=${rest#?} ;;
            \\*) quoted=$quoted\\\\ rest=${rest#?} ;;
            [$control]*) json_control ;;
            # Well-formed UTF-8, The Unicode Standard, table 3-7.
            $del*) json_take "${rest#?}" ;;
            [$xc2-$xdf][$x80-$xbf]*) json_take "${rest#??}" ;;
            ${xe0}[$xa0-$xbf][$x80-$xbf]*) json_take "${rest#???}" ;;
            ${xed}[$x80-$x9f][$x80-$xbf]*) json_take "${rest#???}" ;;
            [$xe1-$xec$xee$xef][$x80-$xbf][$x80-$xbf]*) json_take "${rest#???}" ;;
            ${xf0}[$x90-$xbf][$x80-$xbf][$x80-$xbf]*) json_take "${rest#????}" ;;
            [$xf1-$xf3][$x80-$xbf][$x80-$xbf][$x80-$xbf]*) json_take "${rest#????}" ;;
            ${xf4}[$x80-$x8f][$x80-$xbf][$x80-$xbf]*) json_take "${rest#????}" ;;
            *) quoted=$quoted\\ufffd rest=${rest#?} ;;
        esac
        made=$quoted
    done
}

json_take() { # moves the text before $1 from `rest` to `quoted`, unchanged
    # `%%` gives the same as `%`, since there is only one match, and searches from the left: faster.
    quoted=$quoted${rest%%"$1"} rest=$1
}

json_control() { # moves one control character from `rest` to `quoted`
    tail=${rest#?}
    before=${control%%"${rest%%"$tail"}"*}
    code=$((${#before} + 1)) rest=$tail
    set -- 0 1 2 3 4 5 6 7 8 9 a b c d e f
    shift $((code % 16))
    quoted=$quoted\\u00$((code / 16))$1
}

json_bytes() { # sets variables to bytes that a script must not contain
    # One subshell, and only for the few names that need escapes.
    eval "$(printf '
        control="\001\002\003\004\005\006\007\010\011\012\013\014\015\016\017\020"
        control=$control"\021\022\023\024\025\026\027\030\031\032\033\034\035\036\037" del="\177"
        x80="\200" x8f="\217" x90="\220" x9f="\237" xa0="\240" xbf="\277" xc2="\302" xdf="\337"
        xe0="\340" xe1="\341" xec="\354" xed="\355" xee="\356" xef="\357"
        xf0="\360" xf1="\361" xf3="\363" xf4="\364"')"
}
