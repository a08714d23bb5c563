# Copies the body to standard output, and to standard error with "err" before each line.
while read -r line; do
    echo "out $line"
    echo "err $line" >&2
done
