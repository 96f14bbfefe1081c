"""From masks and depth to points, boxes and poses in the camera's frame.

Knows neither ROS nor the tracker. Lengths are metres. The frame is the camera's optical one: x to
the right, y down, z forward; depth is z, not the length of the ray.
"""
