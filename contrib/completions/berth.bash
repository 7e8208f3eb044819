# SPDX-License-Identifier: Apache-2.0
# berth.bash - completion of berthctl's and berthd's command lines in bash
#
# Commands, options and the kinds of their arguments are what --help of the
# program says, so that nothing here grows old. What an argument of a kind can
# be is asked of berthd.

# What the program's help lists, one a line: "command" or "option", its name, its
# argument or "-".
_berth_help()
{
	"$1" --help 2>/dev/null | awk '
	/^Commands:$/ { commands = 1; next }
	!NF { commands = 0 }
	/^  -/ || (commands && /^  [a-z]/) {
		rest = substr($0, 3)
		n = 0
		do {
			names[++n] = rest
			sub(/[, ].*/, "", names[n])
			rest = substr(rest, length(names[n]) + 1)
		} while (sub(/^, /, "", rest))
		argument = "-"
		if (match(rest, /^ \[?[A-Z][A-Z|=.]*\]?( |$)/) ||
		    match(rest, /^ \[?[a-z]+(\|[a-z]+)+\]?( |$)/)) {
			argument = substr(rest, 2, RLENGTH - 1)
			sub(/ $/, "", argument)
		}
		for (i = 1; i <= n; i++)
			print (commands ? "command" : "option"), names[i],
				argument
	}'
}

# The values of a member that is a text or a number, in a reply, one a line.
# Those that would need escapes in JSON are left out.
_berth_values()
{
	local member=$1
	shift
	"$@" --json 2>/dev/null |
		sed -n "s/^ *\"$member\": \"\{0,1\}\([^\"\\\\,]*\)\"\{0,1\},\{0,1\}\$/\1/p"
}

# What an argument of a kind, such as RULE|LISTENER, can be, one a line.
# Usage: _berth_arguments KIND CURRENT BERTHCTL...
_berth_arguments()
{
	local kinds=${1//[].[]/} current=$2 kind
	shift 2
	local IFS='|'
	for kind in $kinds; do
		IFS=$' \t\n'
		case $kind in
		NAMESPACE)
			echo host
			_berth_values name "$@" namespaces
			;;
		CONTAINER | NAME) _berth_values name "$@" namespaces ;;
		RULE) _berth_values rule "$@" listeners ;;
		LISTENER) _berth_values id "$@" listeners ;;
		CONNECTION) _berth_values id "$@" connections ;;
		LEVEL) printf '%s\n' error warning info debug ;;
		USER) compgen -u -- "$current" ;;
		DIR) compgen -d -- "$current" ;;
		FILE | PATH | SOCKET) compgen -f -- "$current" ;;
		[a-z]*) echo "$kind" ;;
		esac
	done | awk '!seen[$0]++'
}

# Reads the help into commands, options and arguments (of both, by name).
_berth_read_help()
{
	local kind name argument

	while read -r kind name argument; do
		arguments[$name]=$argument
		if [[ $kind == command ]]; then
			commands+=("$name")
		else
			options+=("$name")
		fi
	done < <(_berth_help "$program")
}

# Reads the line up to the current word: expected gets what that one is to be.
_berth_read_line()
{
	local word kind i words=0

	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word != -* ]]; then
			((++words > 1)) || command=$word
			continue
		fi
		[[ $word != --check ]] || expected='FILE|DIR'
		kind=${arguments[$word]:--}
		[[ $kind != - ]] || continue
		# "=" is a word of its own, between an option and its value.
		[[ ${COMP_WORDS[i + 1]} != = ]] || ((++i))
		if ((++i >= COMP_CWORD)); then
			expected=$kind
			[[ $kind != NAME ]] || expected=-
			return
		fi
		[[ $word != --runtime-dir ]] || ask+=("$word" "${COMP_WORDS[i]}")
	done
	if [[ $current == -* ]]; then
		expected=OPTION
	elif ((${#commands[@]} == 0)); then
		: # its options say
	elif ((words == 0)); then
		expected=COMMAND
	else
		expected=${arguments[$command]:--}
		((words == 1)) || [[ $expected == *...* ]] || expected=-
	fi
}

_berth()
{
	local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]}
	local expected=- command='' word
	local -a ask=("$program") commands=() options=() found=()
	local -A arguments=()

	COMPREPLY=()
	_berth_read_help
	_berth_read_line
	[[ $current != = ]] || current=''
	case $expected in
	OPTION) found=("${options[@]}") ;;
	COMMAND) found=("${commands[@]}") ;;
	*)
		mapfile -t found < <(_berth_arguments "$expected" "$current" \
			"${ask[@]}")
		;;
	esac
	if [[ $expected =~ FILE|DIR|PATH|SOCKET ]]; then
		# bash quotes the names of files by itself.
		compopt -o filenames
		COMPREPLY=("${found[@]}")
		return
	fi
	for word in "${found[@]}"; do
		[[ $word != "$current"* ]] ||
			COMPREPLY+=("$(printf '%q' "$word")")
	done
}
complete -F _berth berthctl berthd
