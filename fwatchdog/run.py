#!/usr/bin/env -S python3 -P
"""The watchdog in its image, as the program `fwatchdog`. Without a shell, which would drop variables whose names it
cannot use itself.

Only this program finds the packages in /opt/watchdog: the function's own Python must not see them, nor this program
(-P) what lies in the function's folder.
"""

import sys

sys.path.insert(0, "/opt/watchdog")

from fwatchdog.__main__ import main

sys.exit(main())
