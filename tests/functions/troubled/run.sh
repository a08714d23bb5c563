# The body's first line says what happens: how, and a file for process ids.
read -r how file
case "$how" in
echo) exec cat ;;
unread) exec echo "not read" ;;
exit) exit 3 ;;
crash) kill -SEGV $$ ;;
hang) trap '' TERM; exec sleep 600 ;;
spin) trap '' TERM; while :; do :; done ;;
# Killed by another; nothing else holds the output open.
victim) echo $$ > "$file.new"; mv "$file.new" "$file"; exec sleep 600 ;;
# With a child in a session of its own.
family)
    trap '' TERM
    setsid sleep 600 &
    until [ "$(cut -d' ' -f6 /proc/$!/stat)" = $! ]; do :; done
    echo "$$ $!" > "$file.new"
    mv "$file.new" "$file"
    wait
    ;;
# Output, and then no end.
half) echo first; exec sleep 600 ;;
esac
