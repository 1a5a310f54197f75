# The command's stdout, stderr and status. The three leave through one pipe one after the other: stdout's reader sees its end only when stderr's is
# done, or, where a process that outlives the command holds both, has two seconds more.
ask_command() {
  begin
  a=$({ { {
    limit "$T" sh -c "$1" 2>&1 >&7 7>&- 8>&- 9>&-
    printf '.s %s\n' "$?" >&8
  } | {
    v=$(kept "$2" "$((T + 2))" | enc)
    printf '.e\n%s\n' "$v"
  } >&8 7>&-; } 7>&1 | {
    v=$(kept "$2" "$((T + 4))" | enc)
    printf '.o\n%s\n' "$v"
  } >&8; } 8>&1)
  answer
}
