# Exits or crashes, as the body says, after some output.
read -r how
echo "some output"
echo "some complaint" >&2
case "$how" in
exit*) exit 3 ;;
segfault*) kill -SEGV $$ ;;
esac
