"""Tracking in files: a video, a folder of images or a rosbag2 bag, every frame of it.

Needs no ROS. Bags are read and written by rosbags, which need not be installed for the rest.
"""
