"""Promptable object tracking for robots with EdgeTAM, as a ROS 2 node and as a plain library."""
