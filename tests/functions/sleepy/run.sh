# Sleeps as many seconds as the body says.
read -r seconds
sleep "$seconds" || exit
echo "slept $seconds"
