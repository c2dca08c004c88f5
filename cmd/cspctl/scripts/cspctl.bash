# bash completion for cspctl; works with bash 3.2 of macOS too

_cspctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} line
	COMPREPLY=()
	while IFS= read -r line; do
		if [ "$line" = ":file" ]; then
			[ "$cur" = "=" ] && cur=
			compopt -o filenames 2>/dev/null
			while IFS= read -r line; do
				COMPREPLY+=("$line")
			done < <(compgen -f -- "$cur")
			return
		fi
		COMPREPLY+=("${line%%$'\t'*}")
	done < <("$1" __complete "${COMP_WORDS[@]:1:COMP_CWORD-1}" "=$cur" 2>/dev/null)
}

complete -F _cspctl cspctl
