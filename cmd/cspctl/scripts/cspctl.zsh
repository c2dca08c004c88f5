#compdef cspctl
# zsh completion for cspctl

_cspctl() {
	local line
	local -a found
	# PREFIX is the current word up to the cursor.
	for line in "${(@f)$(_call_program cspctl "${(q)words[1]}" __complete "${(@q)words[2,CURRENT-1]}" "${(q):-=$PREFIX}" 2>/dev/null)}"; do
		case $line in
		'') ;;
		:file)
			[[ $PREFIX == -*=* ]] && compset -P '*='
			_files
			return ;;
		*) found+=("${${line%%$'\t'*}//:/\\:}:${${line#*$'\t'}%$line}") ;;
		esac
	done
	(( $#found )) && _describe -V cspctl found
}

if [ "$funcstack[1]" = "_cspctl" ]; then
	_cspctl "$@"
else
	compdef _cspctl cspctl
fi
