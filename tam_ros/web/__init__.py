"""A page to look at what is tracked, and to click on it: its server, and the page itself.

Knows nothing of ROS: pictures and what is to be said of them are handed to `server.PageServer`,
and what viewers ask for is done by whoever gave it a `Tracker`.
"""
