# SPDX-License-Identifier: Apache-2.0
# berthctl.bash - completion of berthctl's command line in bash

# The names that berthd knows, one a line; nothing when it cannot be asked.
_berthctl_namespaces()
{
	echo host
	"$@" namespaces --json 2>/dev/null |
		sed -n 's/^ *"name": "\([^"\\]*\)",\{0,1\}$/\1/p'
}

# The values of a member that is a text or a number, of a list, one a line.
_berthctl_values()
{
	local member=$1
	shift
	"$@" --json 2>/dev/null |
		sed -n "s/^ *\"$member\": \"\{0,1\}\([^\"\\\\,]*\)\"\{0,1\},\{0,1\}\$/\1/p"
}

# What else the command takes.
_berthctl_targets()
{
	local command=$1
	shift
	case $command in
	listeners | connections | explain | wait) _berthctl_namespaces "$@" ;;
	esac
	case $command in
	connections | drain | close | undrain)
		_berthctl_values rule "$@" listeners | sort -u
		_berthctl_values id "$@" listeners
		;;
	esac
	[[ $command != close ]] || _berthctl_values id "$@" connections
}

_berthctl()
{
	local current=${COMP_WORDS[COMP_CWORD]}
	local previous=${COMP_WORDS[COMP_CWORD - 1]}
	local commands='status namespaces listeners connections consumers stats rules check reload restart-relay drain close undrain explain register unregister wait'
	local options='--runtime-dir --json --pid --timeout --netns --name --pod-namespace --label --id --runtime --wait --version --help'
	local command='' i
	local -a ask=(berthctl) words=()

	COMPREPLY=()
	if [[ $previous == --runtime-dir ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$current")
		return
	fi
	case $previous in
	--netns)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
		;;
	--pid | --timeout | --name | --pod-namespace | --label | --id | --runtime | --wait)
		return
		;;
	esac
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--runtime-dir)
			ask+=(--runtime-dir "${COMP_WORDS[++i]}")
			;;
		--pid | --timeout | --netns | --name | --pod-namespace | --label | --id | --runtime | --wait)
			((++i))
			;;
		-*) ;;
		*)
			command=${command:-${COMP_WORDS[i]}}
			;;
		esac
	done
	if [[ $current == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
		return
	fi
	case $command in
	'')
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
		;;
	check)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		;;
	listeners | connections | explain | wait | drain | close | undrain)
		mapfile -t words < <(_berthctl_targets "$command" "${ask[@]}")
		for i in "${words[@]}"; do
			[[ $i != "$current"* ]] ||
				COMPREPLY+=("$(printf '%q' "$i")")
		done
		;;
	esac
}
complete -F _berthctl berthctl
