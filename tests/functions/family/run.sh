# Writes its process id and a grandchild's to the file the body names; then both hang and ignore SIGTERM.
trap '' TERM
read -r file
sh -c "trap '' TERM; while :; do sleep 1; done" &
echo "$$ $!" > "$file"
while :; do sleep 1; done
