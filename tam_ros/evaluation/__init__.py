"""Measuring a tracker on clips with ground truth: offline, and against the clock.

`command` is what a user runs. Knows nothing of ROS, and of engines only how to load them.
"""
