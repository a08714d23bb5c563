#!/bin/sh
# Sleeps as many seconds as the body says (decimals allowed) and prints what it did.

# One character more than is allowed would do; NUL, which the shell would drop, is made visible.
seconds=$(head -c 64 | tr -d '\r' | tr '\000' '?')

case $seconds in
    "" | . | *[!0-9.]* | *.*.* | ???????????*)
        printf 'sleep: expected the seconds as the body, such as 2 or 0.5, got "%s"\n' "$seconds" >&2
        exit 1
        ;;
esac

sleep "$seconds" || exit
echo "slept $seconds seconds"
