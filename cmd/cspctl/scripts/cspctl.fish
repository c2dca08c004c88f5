# fish completion for cspctl

function __cspctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($words[1] __complete $words[2..-1] "=$current" 2>/dev/null)
    if test "$found[1]" = :file
        set -l flag (string match -r -- '^-[^=]*=' "$current")
        set -l path (string replace -r -- '^-[^=]*=' '' "$current")
        string replace -r -- '^' "$flag" (__fish_complete_path "$path")
    else
        string join \n -- $found
    end
end

complete -c cspctl -f -a '(__cspctl_complete)'
