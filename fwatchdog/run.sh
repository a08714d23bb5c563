#!/bin/sh
# The watchdog in its image. Only this program finds the packages in /opt/watchdog: the function's own Python must not
# see them, nor this program (-P) what lies in the function's folder.
exec python3 -P -c 'import sys; sys.path.insert(0, "/opt/watchdog"); from fwatchdog.__main__ import main; sys.exit(main())'
