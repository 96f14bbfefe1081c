"""The tracker node, which holds back a repeated kind of warning for a moment, not for 10 s.

For tests that wait for several warnings of one kind; `test_notices` has how long they wait.
"""

import sys

from tam_ros.ros import notices, process

if __name__ == '__main__':
    notices.PERIOD_S = 0.5
    process.main(sys.argv)
