
# Takes the place of what bash-completion does, where it is absent: joins the
# words that bash has split at a colon or an equals sign, up to the cursor.
__firebreak_init_completion()
{
    local line=${COMP_LINE:0:COMP_POINT} word last='' i
    words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i > 0)) && [[ $line != [[:blank:]]* && ($word == [:=]* || $last == *[:=]) ]]; then
            words[${#words[@]}-1]+=$word
        else
            words+=("$word")
        fi
        last=$word
        line=${line#*"$word"}
    done
    cword=$((${#words[@]} - 1))
    cur=${words[cword]}
    prev=${words[cword > 0 ? cword - 1 : 0]}
}
